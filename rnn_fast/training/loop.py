"""The loop over epochs: visits to data, compiled pieces of them, failures, reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from ..data import checks
from ..data.blocks import Visit
from ..data.source import Source
from ..engine import operations, threads
from ..engine.optimizer_state import Descent
from ..engine.tiling import seconds_per_row
from ..errors import DivergedError, Terminated
from ..layout.network import Network
from ..losses import LOSSES
from ..saving import checkpoint
from .config import TrainingConfig
from .early_stopping import Watch
from .history import History
from .pace import Pace
from .position import Position
from .progress import progress
from .schedules import Plateau
from .signals import Signals


@dataclass
class Training:
    """A training, with an optimizer whose state starts at zero, or where a checkpoint left it.

    Parameters
    ----------
    net : Network
    parameters : ndarray, (P,)
        Written by `run`.
    source : Source
        The data.
    config : TrainingConfig
    generator : Generator
        Draws the order of each epoch and, if there is dropout, a seed for it.
    dropout : float
        Probability.
    validate : callable or None
        Measures the model after an epoch, as `losses.measures` says.
    after : callable
        Called after each epoch; true to end the training.
    penalties : ndarray or None
        As `layout.parameters.penalty_coefficients` returns them.
    keeper : Keeper or None
        Writes checkpoints as the config says, at the end, and when a signal stops the training.
    saved : Saved or None
        The checkpoint to go on from, whose parameters are in `parameters`.

    Attributes
    ----------
    run_epoch : callable
        The compiled call for some batches: a seam.
    """

    net: Network
    parameters: np.ndarray
    source: Source
    config: TrainingConfig
    generator: np.random.Generator
    dropout: float = 0.0
    validate: Callable[[], dict[str, float]] | None = None
    after: Callable[[History], bool] = lambda history: False
    penalties: np.ndarray | None = None
    keeper: checkpoint.Keeper | None = None
    saved: checkpoint.Saved | None = None

    run_epoch: ClassVar[Any] = staticmethod(operations.train_epoch)

    def __post_init__(self) -> None:
        config = self.config
        self.descent = Descent(
            config.optimizer,
            self.parameters.size,
            self.net.dtype,
            penalties=self.penalties,
            clip_norm=config.clip_norm,
            clip_value=config.clip_value,
        )
        self.plateau = Plateau(config.schedule)
        self.watch, self.finished = Watch(config.early_stopping), False
        self.history = History.begin(
            classifies=LOSSES[self.net.loss].classifies,
            validates=self.validate is not None,
            penalizes=self.penalties is not None,
        )
        self.position: Position | None = None  # of an epoch that has begun
        self._saved_at = perf_counter()
        if self.saved is not None:
            self._restore(self.saved)

    def _restore(self, saved: checkpoint.Saved) -> None:
        training = saved.training
        self.history, self.finished = History(**training["history"]), training["finished"]
        self.descent.knobs[:] = training["knobs"]
        self.descent.moments[:] = saved.arrays["moments"]
        vars(self.plateau).update(training["plateau"])
        vars(self.watch).update(training["watch"], parameters=saved.arrays.get("best"))
        checkpoint.set_generator_state(self.generator, training["generator"])
        self.source.restore(training["source"], len(self.history))
        if training["position"] is not None:
            self.position = Position.restored(training["position"])
            checkpoint.set_generator_state(self.generator, self.position.began)

    def _save(self) -> None:
        if self.keeper is None:
            return
        training = {
            "finished": self.finished,
            "history": vars(self.history),
            "knobs": self.descent.knobs.tolist(),
            "plateau": self.plateau.record(),
            "watch": self.watch.record(),
            "generator": checkpoint.generator_state(self.generator),
            "source": self.source.record(),
            "position": self.position.record() if self.position else None,
        }
        arrays = {"moments": self.descent.moments}
        if self.watch.parameters is not None:
            arrays["best"] = self.watch.parameters
        self.keeper.save(training, arrays)
        self._saved_at = perf_counter()

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
        left = 0 if self.finished else self.config.epochs - len(self.history)
        per_row = seconds_per_row(self.net)
        with (
            threads.Team(self.config.n_threads) as self.team,
            progress(self.config.epochs, len(self.history), self.config.verbose) as self.progress,
            self.watch.restoring(self.parameters),
            Signals() as self.signals,
        ):
            self.pace = Pace(per_row, self.config.n_threads > 1)
            try:
                for _ in range(left):
                    self._epoch()
                    if self.finished:
                        break
            except (KeyboardInterrupt, Terminated) as stop:
                self._stopped(stop)
                raise
        return self.history

    def _epoch(self) -> None:
        before, position = self.parameters.copy(), self.position
        if position is None:
            began = checkpoint.generator_state(self.generator)
            position = self.position = Position(began)
        try:
            self._visit_all(position)
        except BaseException as error:
            if isinstance(error, DivergedError) or not checks.all_finite(self.parameters):
                self.parameters[:] = before  # for any reason that ends an epoch early
            raise
        measures = self.validate() if self.validate else {}
        with self.signals.waiting():
            self._note(position, measures)
        self.finished = self.after(self.history) or self.finished
        if self.finished or len(self.history) == self.config.epochs or self._due():
            with self.signals.waiting():
                self._save()

    def _due(self) -> bool:
        every = self.config.checkpoint_every.epochs
        return every > 0 and len(self.history) % every == 0

    def _visit_all(self, position: Position) -> None:
        """Train on the rest of an epoch."""
        config, past = self.config, len(self.history)
        shuffler = self.generator if config.shuffle else None
        visits = self.source.epoch(shuffler, config.batch_size, position.batches)
        seed = int(self.generator.integers(2**62)) if self.dropout else 0
        batches = self.source.batches(config.batch_size)
        for visit in visits:
            size = min(config.batch_size or len(visit.order), len(visit.order))
            first, n = visit.skip, -(-len(visit.order) // size)
            start = position.batches - first
            rates = self._rates(past, start, n, batches)
            for piece, together in self._pieces(visit, size):
                with self.signals.waiting():
                    self._train(visit, size, piece, rates, seed, together, position)
                    if piece.stop == n:
                        self.source.seen(visit)
                self._look_around(position, batches)
        if not position.batches:
            raise ValueError("there is nothing to train on: no batches came")

    def _rates(self, past: int, start: int, n: int, batches: int | None) -> np.ndarray:
        """Return the learning rates of n batches of an epoch, from batch `start` on."""
        x, step = np.full(n, float(past)), 1.0
        if batches is not None:
            x, step = past + np.arange(start, start + n) / batches, 1 / batches
        factors = self.config.schedule.factors(x, self.config.epochs, step)
        return self.config.learning_rate * (factors * self.plateau.factor)

    def _pieces(self, visit: Visit, size: int) -> Iterator[tuple[slice, bool]]:
        """Yield the batches of a visit, some at a time, and whether the team works on them."""
        lengths = visit.block.inputs.sequences.lengths
        n = -(-len(visit.order) // size)
        rows = float(lengths[visit.order].sum()) / n  # of a batch
        at = visit.skip
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
        block, order = visit.block, visit.order[piece.start * size : piece.stop * size]
        start = perf_counter()
        epoch = self.run_epoch(
            self.net,
            block.inputs.sequences,
            block.targets,
            order,
            size,
            self.parameters,
            self.descent,
            rates[piece],
            bptt=self.config.bptt,
            dropout=self.dropout,
            seed=seed,
            state=block.state,
            team=self.team if together else None,
            result=position.result,
        )
        if not (epoch.finite and checks.all_finite(self.parameters)):
            raise _diverged(self.config, self.history)
        position.batches += piece.stop - piece.start
        position.sequences += len(order)
        position.seconds += perf_counter() - start
        position.rate = float(rates[piece.stop - 1])

    def _look_around(self, position: Position, batches: int | None) -> None:
        """Show progress between two pieces, and write a checkpoint if it is time."""
        share = position.batches / batches if batches else None
        loss, speed = (
            operations.reported(position.result).loss,
            position.sequences / position.seconds,
        )
        self.progress.within(self.history, share, loss, speed)
        wait = self.config.checkpoint_every.seconds
        if wait and perf_counter() - self._saved_at >= wait:
            with self.signals.waiting():
                self._save()

    def _note(self, position: Position, measures: dict[str, float]) -> None:
        """Record an epoch; let the schedule and early stopping see it."""
        epoch = operations.reported(position.result)
        self.history.append(
            loss=float(epoch.loss),
            accuracy=epoch.correct,
            mse=epoch.correct,
            r2=self.source.spread().r2(epoch.correct),
            penalty=epoch.penalty,
            learning_rate=position.rate,
            seconds=position.seconds,
            sequences_per_second=position.sequences / position.seconds,
            **{f"val_{name}": value for name, value in measures.items()},
        )
        self.position = None
        self.progress.epoch(self.history)
        loss = measures.get("loss", epoch.loss)
        self.plateau.see(loss)
        self.finished = self.watch.see(loss, self.parameters)

    def _stopped(self, stop: BaseException) -> None:
        """Save after a signal, and say how far the training went."""
        text = f"training stopped after {len(self.history)} of {self.config.epochs} epochs"
        if self.position is not None and self.position.batches:
            text += f" and {self.position.batches} batches"
        if self.keeper is not None:
            self._save()
            text += f"; resume=True goes on from {self.keeper.path}"
        if isinstance(stop, KeyboardInterrupt):
            stop.args = (text,)
        elif isinstance(stop, Terminated):
            stop.told = text


def _diverged(config: TrainingConfig, history: History) -> DivergedError:
    return DivergedError(
        f"training diverged in epoch {len(history) + 1} of {config.epochs}: the loss or a "
        "parameter is no longer finite. The parameters are those from before that epoch; a "
        f"learning rate smaller than {config.learning_rate:g} may help",
        history,
    )
