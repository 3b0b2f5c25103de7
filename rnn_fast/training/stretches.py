"""Epochs in one compiled call, in a training where nobody asks to be called in between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np

from ..data.parts import Part
from ..data.source import Source
from ..engine.epochs import Epochs
from ..engine.evaluation import Evaluation
from ..engine.operations import reported_each
from ..engine.stretch import Stretch
from ..layout.batch_records import SUMS
from ..layout.stretch import RULES
from ..tuning import TUNING
from .config import TrainingConfig
from .early_stopping import Watch
from .monitor import Monitor
from .position import State
from .rates import Plateau, Rates


@dataclass
class Stretches:
    """Runs of a `Stretch` in a training.

    Everything that a run changes is in memory before it begins, so a training that an interrupt
    stops can still take note of the epochs that were done.

    Parameters
    ----------
    stretch : Stretch
    epochs : Epochs
    source : Part
    config : TrainingConfig
    generator : Generator
    rates : Rates
    evaluation : Evaluation
    held_out : Part or None
    places : dict
        `Monitored` of each monitor.

    Attributes
    ----------
    first : int
        Epochs before the last run; -1: there was none.
    seconds : float
        Time of the last run.
    """

    stretch: Stretch
    epochs: Epochs
    source: Part
    config: TrainingConfig
    generator: np.random.Generator
    rates: Rates
    evaluation: Evaluation
    held_out: Part | None
    places: dict[Monitor, tuple[int, int, float]]
    first: int = field(default=-1, init=False)
    seconds: float = field(default=1e-9, init=False)  # not 0: an interrupt may come before
    _drawn: int = field(default=0, init=False)  # epochs, in the last run
    _state: dict[str, Any] = field(default_factory=dict, init=False)  # of the generator, before

    @property
    def has_diverged(self) -> bool:
        """True if the epoch after the last run has diverged, and was undone."""
        return self.first >= 0 and self.stretch.has_diverged

    def run(self, n: int, state: State) -> None:
        """Run up to n epochs."""
        self.stretch.begin()
        self._state, self._drawn = dict(self.generator.bit_generator.state), n
        self.first = state.epochs  # from here on there is something to take note of
        self._set_rules(state)
        orders, seeds = self._draw(n, self.generator)
        shared = not self.config.shuffle
        past, batches = state.epochs, self.source.batches(self.config.batch_size)
        assert batches is not None
        different = 1 if self.rates.is_steady else n
        factors = [self.rates.factors(batches, past + k, 0, batches) for k in range(different)]
        began = perf_counter()
        self.stretch.run(
            np.stack(orders[:1] if shared else orders),
            np.stack(factors),
            np.array(seeds, np.int64),
        )
        self.seconds = perf_counter() - began

    def _draw(self, n: int, generator: np.random.Generator) -> tuple[list[np.ndarray], list[int]]:
        """Draw the order of n epochs and, if there is dropout or noise, a seed for each."""
        config, orders, seeds = self.config, [], []
        shuffler = generator if config.shuffle else None
        for _ in range(n):
            orders.append(self.epochs.ordered(self.source.order(shuffler)))
            seeds.append(int(generator.integers(2**62)) if self.epochs.chance.draws else 0)
        return orders, seeds

    def _set_rules(self, state: State) -> None:
        rules, watch, plateau = self.stretch.rules, state.watch, state.plateau
        rules[:] = 0
        rules[RULES.rate], rules[RULES.factor] = state.rate, plateau.factor
        if watch.rule is not None:
            rules[RULES.monitor : RULES.monitor + 3] = self.places[watch.monitor]
            rules[RULES.patience], rules[RULES.min_delta] = (
                watch.rule.patience,
                watch.rule.min_delta,
            )
            rules[RULES.best], rules[RULES.waited] = watch.best, watch.waited
        if plateau.rule is not None:
            rules[RULES.plateau_monitor : RULES.plateau_monitor + 3] = self.places[plateau.monitor]
            rules[RULES.plateau_patience] = plateau.rule.patience
            rules[RULES.plateau_factor] = plateau.rule.factor
            rules[RULES.plateau_threshold] = plateau.rule.threshold
            rules[RULES.plateau_best] = plateau.best
            rules[RULES.plateau_waited] = plateau.waited

    def noted(self) -> dict[str, list[float]]:
        """Return the measures of the epochs of the last run, by name in the history."""
        done, stretch = self.stretch.done, self.stretch
        trained = reported_each(stretch.results[:done])
        correct = trained.pop("correct")
        columns = {**trained, "learning_rate": stretch.rates[:done]}
        columns |= {"accuracy": correct, "mse": correct, "r2": self.source.spread().r2(correct)}
        if self.held_out is not None:
            measures = self.evaluation.means(self.held_out, stretch.measures[:done])
            columns |= {f"val_{name}": values for name, values in measures.items()}
        return {name: np.broadcast_to(each, done).tolist() for name, each in columns.items()}

    def after(self, state: State) -> State:
        """Return the state after the last run."""
        stretch, rules = self.stretch, self.stretch.rules
        return state._replace(
            epochs=self.first + stretch.done,
            plateau=self._plateau(state.plateau, rules),
            watch=(watch := self._watch(state.watch, rules)),
            finished=watch.is_over,
        )

    def _plateau(self, before: Plateau, rules: np.ndarray) -> Plateau:
        if before.rule is None:
            return before
        factor, best, waited = rules[[RULES.factor, RULES.plateau_best, RULES.plateau_waited]]
        return replace(before, factor=float(factor), best=float(best), waited=int(waited))

    def _watch(self, before: Watch, rules: np.ndarray) -> Watch:
        if before.rule is None:
            return before
        kept = before.parameters
        if self.stretch.has_improved and before.rule.restore_best:
            kept = self.stretch.best.copy()
        best, waited = float(rules[RULES.best]), int(rules[RULES.waited])
        return replace(before, best=best, waited=waited, parameters=kept)

    def rewind(self) -> None:
        """Put the generator where the epochs that were run have left it.

        A run that ends early has drawn for epochs that never came.  The one that diverged came.
        """
        came = self.stretch.done + self.stretch.has_diverged
        if came == self._drawn:
            return
        generator = np.random.Generator(type(self.generator.bit_generator)())
        generator.bit_generator.state = self._state
        self._draw(came, generator)
        self.generator.bit_generator.state = generator.bit_generator.state


#: places of what is watched, in the sums; the rest is not known within a stretch
PLACES = {"loss": SUMS.loss, "accuracy": SUMS.hits, "mse": SUMS.hits}


def place_of(monitor: Monitor) -> tuple[int, int, float] | None:
    """Return whether the held-out samples count, the place in their sums, and the sign."""
    measure = monitor.column.removeprefix("val_")
    if measure not in PLACES:
        return None
    return int(measure != monitor.column), PLACES[measure], monitor.sign


def stretches_of(
    epochs: Epochs,
    source: Source,
    config: TrainingConfig,
    generator: np.random.Generator,
    rates: Rates,
    evaluation: Evaluation,
    held_out: Part | None,
    state: State,
) -> Stretches | None:
    """Return the stretches of a training that is loaded, or None.

    There are none if its data are not all in memory, or if something is to happen between two
    epochs that compiled code does not know.
    """
    monitors = state.watch.monitor, state.plateau.monitor
    places = {each: place for each in monitors if (place := place_of(each)) is not None}
    known = len(places) == len(set(monitors)) and not rates.asks
    if config.loss is not None or not (known and isinstance(source, Part) and source.is_single):
        return None
    measured = None
    if held_out is not None:
        measured = evaluation.held_out(held_out)
        if measured is None:
            return None
    n = len(source)
    stretch = Stretch(epochs, n, min(config.batch_size or n, n), measured)
    return Stretches(
        stretch, epochs, source, config, generator, rates, evaluation, held_out, places
    )


def fitting(seconds: float, config: TrainingConfig) -> int:
    """Return how many epochs a stretch may have, if one takes so many seconds."""
    if config.n_threads > 1 and seconds > TUNING.worth_seconds:  # others can help
        return 0
    return int(TUNING.piece_seconds / max(seconds, 1e-9))
