"""The loop over epochs: visits to data, compiled pieces of them, failures, reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from ..data import checks
from ..data.blocks import Block, Visit
from ..data.parts import Part
from ..data.source import Source
from ..engine import operations, threads
from ..engine.epochs import Epochs
from ..engine.evaluation import Evaluation
from ..engine.tiling import seconds_per_row
from ..engine.workspace import spaces
from ..errors import DivergedError, Terminated
from ..layout.network import Network
from ..losses import LOSSES
from ..saving import checkpoint
from ..tuning import TUNING
from .config import TrainingConfig
from .history import History
from .pace import Pace
from .position import Pending, Position, State
from .progress import progress
from .rates import Rates
from .signals import Signals
from .snapshot import restored, snapshot
from .stretches import Stretches, fitting, stretches_of


@dataclass
class Training:
    """A training, whose optimizer goes on where a checkpoint left it, if there is one.

    Parameters
    ----------
    net : Network
    parameters : ndarray, (P,)
        Written by `run`.
    source : Source
        The data.
    config : TrainingConfig
    generator : Generator
        Draws the order of each epoch and, if there is dropout or noise, a seed for it.
    epochs : Epochs
        The compiled training, with its optimizer.
    evaluation : Evaluation
        Measures the model.
    held_out : Part or None
        Sequences to measure after each epoch.
    after : callable
        Called as ``after(history, rate)`` after each epoch; returns whether to end the training,
        and the learning rate of the next epoch.
    between : callable
        Called after each compiled call; raises to stop the training there.
    keeper : Keeper or None
        Writes checkpoints as the config says, at the end, and when a signal stops the training.
    saved : Saved or None
        The checkpoint to go on from, whose parameters are in `parameters`.

    Attributes
    ----------
    run_epoch, run_stretch : callable
        The compiled calls for some batches and for some epochs: seams.
    """

    net: Network
    parameters: np.ndarray
    source: Source
    config: TrainingConfig
    generator: np.random.Generator
    epochs: Epochs
    evaluation: Evaluation
    held_out: Part | None = None
    after: Callable[[History, float], tuple[bool, float]] | None = None
    between: Callable[[], None] = lambda: None
    keeper: checkpoint.Keeper | None = None
    saved: checkpoint.Saved | None = None

    run_epoch: ClassVar[Any] = staticmethod(Epochs.run)
    run_stretch: ClassVar[Any] = staticmethod(Stretches.run)

    def __post_init__(self) -> None:
        config, self.descent = self.config, self.epochs.descent
        watch, plateau = config.rules(self.net)
        self.state = State(
            epochs=0,
            plateau=plateau,
            watch=watch,
            rate=config.learning_rate or 0.0,  # `fit` has put the model's in the place of None
            finished=False,
            pending=None,
            position=None,
        )
        self.history = History.begin(
            classifies=LOSSES[self.net.loss].classifies,
            validates=self.held_out is not None,
            penalizes=self.descent.penalties is not None or self.epochs.activity is not None,
        )
        self._loaded: Block | None = None  # in `epochs`, if it stays there
        self._rates = Rates(config.schedule, config.epochs)
        self._is_spoilt = False  # the optimizer, after a divergence
        self._stretches: Stretches | None = None
        self._epoch_seconds, self._share = math.inf, 1.0  # the second: of training in that
        self._saved_at = perf_counter()
        if self.saved is not None:
            whole = self.parameters, self.descent, self.generator, self.source
            self.state, self.history = restored(self.saved, self.state, *whole)

    # ----------------------------------------------------------------------------- checkpoints

    def _save(self) -> None:
        """Write a checkpoint of the state, which `_stopped` has made whole."""
        if self.keeper is None:
            return
        content = snapshot(self.state, self.history, self.descent, self.generator, self.source)
        with self.signals.waiting():
            self.keeper.save(*content)
        self._saved_at = perf_counter()

    def _stopped(self, stop: BaseException) -> None:
        """Save after an interrupt, if there is something to go on from; say how far it went."""
        self._note_stretch()
        state, position = self.state, self.state.position
        self.history.keep(state.epochs)
        text = f"training stopped after {state.epochs} of {self.config.epochs} epochs"
        if position is not None and position.batches:
            text += f" and {position.batches} batches"
        if self._has_diverged():
            text += "; the loss or a parameter was no longer finite"
        elif self.keeper is not None:
            if state.pending is not None:  # resuming calls the callbacks again
                self.parameters[:] = state.pending.parameters
                checkpoint.set_generator_state(self.generator, state.pending.generator)
            try:
                self._save()
                text += f"; resume=True goes on from {self.keeper.path}"
            except OSError as error:
                text += f"; no checkpoint could be written: {error}"
        if isinstance(stop, KeyboardInterrupt):
            stop.args = (text,)
        elif isinstance(stop, Terminated):
            stop.told = text

    def kept(self) -> Epochs | None:
        """Return the compiled training for the next, if its optimizer belongs to the parameters."""
        undone = self._stretches is not None and self._stretches.has_diverged
        if undone or self._is_spoilt or self.state.watch.parameters is not None:
            return None
        self.epochs.forget()
        if self.epochs.space is not None and self.epochs.space.n_bytes > TUNING.model_bytes:
            self.epochs.unprepare()
        return self.epochs

    def _has_diverged(self) -> bool:
        """Return whether the epoch that has begun has left the finite numbers."""
        position = self.state.position
        if position is None:
            return False
        return not (position.is_finite and checks.all_finite(self.parameters))

    # ---------------------------------------------------------------------------------- epochs

    def run(self) -> History:
        """Train in place until the last epoch.

        Raises
        ------
        DivergedError
            The loss or a parameter is no longer finite.
        KeyboardInterrupt, Terminated
            A signal came; a checkpoint has been written, if there is to be one.
        """
        per_row = seconds_per_row(self.net)
        with (
            threads.Team(self.config.n_threads) as self.team,
            progress(self.config.epochs, self.state.epochs, self.config.verbose) as self.progress,
            Signals() as self.signals,
        ):
            self.pace = Pace(per_row, self.config.n_threads > 1)
            try:
                if self.state.pending is not None:
                    self._end_epoch()
                while not self.state.finished and self.state.epochs < self.config.epochs:
                    n_epochs = self._stretch_length()
                    if n_epochs > 1:
                        self._stretch(n_epochs)
                    else:
                        self._epoch()
            except BaseException as stop:
                if isinstance(stop, TimeoutError) or not isinstance(stop, Exception):
                    self._stopped(stop)
                raise
            finally:
                self.history.keep(self.state.epochs)
                if self.state.position is not None and self._has_diverged():
                    self._is_spoilt = True
                    self.parameters[:] = self.state.position.before
                if self.state.watch.parameters is not None:
                    self.parameters[:] = self.state.watch.parameters
                spaces.trim()
        return self.history

    def _stretch_length(self) -> int:
        """Return how many epochs to run in one call; 0 or 1: none, one by one."""
        if self.keeper is not None or self.after is not None or self.state.position is not None:
            return 0
        n_epochs = min(
            self.config.epochs - self.state.epochs, fitting(self._epoch_seconds, self.config)
        )
        if n_epochs > 1 and self._stretches is None:
            self._stretches = stretches_of(
                self.epochs,
                self.source,
                self.config,
                self.generator,
                self._rates,
                self.evaluation,
                self.held_out,
                self.state,
            )
        return 0 if self._stretches is None else n_epochs

    def _stretch(self, n_epochs: int) -> None:
        """Run some epochs in one compiled call."""
        assert self._stretches is not None
        self.run_stretch(self._stretches, n_epochs, self.state)
        self._note_stretch()
        self._epoch_seconds = self._stretches.seconds / n_epochs
        self.between()
        if self._stretches.has_diverged:
            raise _diverged(self.config, self.state.rate, self.history)

    def _note_stretch(self) -> None:
        """Take note of the epochs of the last stretch, unless that has been done."""
        stretches = self._stretches
        if stretches is None or self.state.epochs != stretches.first:
            return
        self.history.keep(self.state.epochs)
        if done := stretches.stretch.done:
            seconds = stretches.seconds / done * self._share
            self._append(stretches.noted(), seconds, len(stretches.source))
        stretches.rewind()
        self.state = stretches.after(self.state)

    def _epoch(self) -> None:
        start = perf_counter()
        if self.state.position is None:
            began = checkpoint.generator_state(self.generator) if self.keeper else {}
            self.state = State(*self.state[:-1], Position(began, self.parameters.copy()))
        assert self.state.position is not None
        self._visit_all(self.state.position)
        measures = {}
        if self.held_out is not None:
            measures = self.evaluation.measure(self.held_out, self.config.n_threads)
        trained = self.state.position.seconds
        self._note(self.state.position, measures)
        self._epoch_seconds = perf_counter() - start
        self._share = min(1.0, trained / self._epoch_seconds)
        self._end_epoch()

    def _end_epoch(self) -> None:
        """Call the callbacks after an epoch, and save if it is time."""
        state = self.state
        ends, rate = False, state.rate
        if self.after is not None:
            ends, rate = self.after(self.history, rate)
        finished = ends or state.finished
        if (finished, rate, None) != (state.finished, state.rate, state.pending):
            self.state = state._replace(finished=finished, pending=None, rate=rate)
        if self.keeper is None:
            return
        if finished or self.state.epochs == self.config.epochs or self._due():
            self._save()

    def _pending(self) -> Pending | None:
        """Return the values to put back if an interrupt comes while callbacks run."""
        if self.keeper is None or not self.config.callbacks:
            return None
        return Pending(self.parameters.copy(), checkpoint.generator_state(self.generator))

    def _due(self) -> bool:
        every = self.config.checkpoint_every.epochs
        return every > 0 and self.state.epochs % every == 0

    def _visit_all(self, position: Position) -> None:
        """Train on the rest of an epoch."""
        config, past = self.config, self.state.epochs
        shuffler = self.generator if config.shuffle else None
        visits = self.source.epoch(shuffler, config.batch_size, position.batches)
        seed = int(self.generator.integers(2**62)) if self.epochs.chance.draws else 0
        batches = self.source.batches(config.batch_size)
        for visit in visits:
            size = min(config.batch_size or len(visit.order), len(visit.order))
            first, n = visit.skip, -(-len(visit.order) // size)
            rows = self._load(visit, size) / n
            done = past, position.batches - first, batches
            rates = self._rates.of(n, *done, self.state.rate, self.state.plateau.factor)
            for piece, together in self._pieces(first, n, rows):
                if piece.stop == n:
                    self.source.seen(visit)  # before: a visit is seen again, but not trained on
                self._train(visit, size, piece, rates, seed, together, position)
                self._look_around(position, batches)
                self.between()
            if not visit.stays:
                self.epochs.forget()
        if not position.batches:
            raise ValueError("there is nothing to train on: no batches came")

    def _load(self, visit: Visit, size: int) -> float:
        """Take the data of a visit; return the rows of its sequences."""
        (sequences, _), targets, state = visit.block
        if not visit.stays or self._loaded is not visit.block:
            assert targets is not None
            self.epochs.load(sequences, targets, size, state)
            self._loaded = visit.block if visit.stays else None
            self._rows = float(sequences.lengths[visit.order].sum())
        return self._rows

    def _pieces(self, at: int, n: int, rows: float) -> Iterator[tuple[slice, bool]]:
        """Yield the batches at .. n - 1 of a visit, some at a time, and whether the team helps.

        rows : float
            Rows of a batch, the mean.
        """
        while at < n:
            work, together = self.pace.next(rows * (n - at))
            stop = min(n, at + max(1, int(work / rows)))
            began = perf_counter()
            yield slice(at, stop), together
            self.pace.saw(rows * (stop - at), perf_counter() - began, together)
            at = stop

    def _train(
        self,
        visit: Visit,
        size: int,
        piece: slice,
        rates: np.ndarray,
        seed: int,
        together: bool,
        position: Position,
    ) -> None:
        """Train on some batches of a visit, in one compiled call."""
        order = visit.order
        position.rate = float(rates[piece.stop - 1])
        if piece.stop - piece.start < len(rates):
            order, rates = order[piece.start * size : piece.stop * size], rates[piece]
        position.sequences += len(order)
        start = perf_counter()
        epoch = self.run_epoch(
            self.epochs,
            order,
            rates,
            position.result,
            seed=seed,
            team=self.team if together else None,
        )
        position.seconds += perf_counter() - start
        if not (epoch.finite and checks.all_finite(self.parameters)):
            position.mark_divergence()
            raise _diverged(self.config, self.state.rate, self.history)
        position.epoch = epoch

    def _look_around(self, position: Position, batches: int | None) -> None:
        """Show progress between two pieces, and write a checkpoint if it is time."""
        if self.progress.shows:
            share = position.batches / batches if batches else None
            assert position.epoch is not None
            loss, speed = position.epoch.loss, position.sequences / position.seconds
            with self.signals.waiting():  # an exception while tqdm draws leaves its lock locked
                self.progress.within(self.history, share, loss, speed)
        wait = self.config.checkpoint_every.seconds
        if wait and perf_counter() - self._saved_at >= wait:
            self._save()

    def _note(self, position: Position, measures: dict[str, float]) -> None:
        """Record an epoch; let the schedule and early stopping see it."""
        state, epoch = self.state, position.epoch or operations.reported(position.result)
        values = {
            "loss": epoch.loss,
            "accuracy": epoch.correct,
            "mse": epoch.correct,
            "penalty": epoch.penalty,
            "learning_rate": position.rate,
            **{f"val_{name}": value for name, value in measures.items()},
        }
        if self.history.r2 is not None:
            values["r2"] = self.source.spread().r2(epoch.correct)
        columns = {name: [value] for name, value in values.items()}
        self._append(columns, position.seconds, position.sequences)
        watch = state.watch.after(self.history, self.parameters)
        self.state = State(
            epochs=state.epochs + 1,
            plateau=state.plateau.after(self.history),
            watch=watch,
            rate=state.rate,
            finished=watch.is_over,
            pending=self._pending(),
            position=None,
        )

    def _append(self, columns: dict[str, list[float]], seconds: float, sequences: int) -> None:
        """Put epochs of so many seconds and sequences into the history, and show them."""
        n = len(columns["loss"])
        columns |= {"seconds": [seconds] * n, "sequences_per_second": [sequences / seconds] * n}
        if not self.progress.shows:
            self.history.extend(columns)
            return
        for k in range(n):
            self.history.extend({name: values[k : k + 1] for name, values in columns.items()})
            with self.signals.waiting():
                self.progress.epoch(self.history)


def _diverged(config: TrainingConfig, rate: float, history: History) -> DivergedError:
    return DivergedError(
        f"training diverged in epoch {len(history) + 1} of {config.epochs}: the loss or a "
        "parameter is no longer finite. The parameters are those from before that epoch; a "
        f"learning rate smaller than {rate:g} may help",
        history,
    )
