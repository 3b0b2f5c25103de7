"""The loop over epochs: visits to data, compiled pieces of them, failures, reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from ..data import checks
from ..data.blocks import Visit
from ..data.source import Source
from ..engine import operations, threads
from ..engine.optimizer_state import Descent
from ..engine.tiling import seconds_per_row
from ..engine.workspace import spaces
from ..errors import DivergedError, Terminated
from ..layout.network import Network
from ..losses import LOSSES
from ..saving import checkpoint
from .config import TrainingConfig
from .early_stopping import Watch
from .history import History
from .pace import Pace
from .position import Pending, Position, State
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
        self.state = State(
            epochs=0,
            plateau=Plateau.of(config.schedule),
            watch=Watch(config.early_stopping),
            finished=False,
            pending=None,
            position=None,
        )
        self.history = History.begin(
            classifies=LOSSES[self.net.loss].classifies,
            validates=self.validate is not None,
            penalizes=self.penalties is not None,
        )
        self._saved_at = perf_counter()
        if self.saved is not None:
            self._restore(self.saved)

    # ----------------------------------------------------------------------------- checkpoints

    def _restore(self, saved: checkpoint.Saved) -> None:
        training, position = saved.training, None
        self.history = History(**training["history"])
        self.descent.knobs[:] = training["knobs"]
        self.descent.moments[:] = saved.arrays["moments"]
        checkpoint.set_generator_state(self.generator, training["generator"])
        self.source.restore(training["source"], len(self.history))
        if training["position"] is not None:
            position = Position.restored(training["position"], saved.arrays["before"])
            checkpoint.set_generator_state(self.generator, position.began)
        self.state = State(
            epochs=len(self.history),
            plateau=replace(self.state.plateau, **training["plateau"]),
            watch=replace(
                self.state.watch, **training["watch"], parameters=saved.arrays.get("best")
            ),
            finished=training["finished"],
            pending=self._pending() if training["pending"] else None,
            position=position,
        )

    def _save(self) -> None:
        """Write a checkpoint of the state, which `_stopped` has made whole."""
        if self.keeper is None:
            return
        state, position = self.state, self.state.position
        training = {
            "finished": state.finished,
            "history": vars(self.history),
            "knobs": self.descent.knobs.tolist(),
            "plateau": state.plateau.record(),
            "watch": state.watch.record(),
            "generator": checkpoint.generator_state(self.generator),
            "source": self.source.record(),
            "pending": state.pending is not None,
            "position": position.record() if position else None,
        }
        arrays = {"moments": self.descent.moments}
        if state.watch.parameters is not None:
            arrays["best"] = state.watch.parameters
        if position is not None:
            arrays["before"] = position.before
        with self.signals.waiting():
            self.keeper.save(training, arrays)
        self._saved_at = perf_counter()

    def _stopped(self, stop: BaseException) -> None:
        """Save after an interrupt, if there is something to go on from; say how far it went."""
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
                    self._epoch()
            except BaseException as stop:
                if isinstance(stop, TimeoutError) or not isinstance(stop, Exception):
                    self._stopped(stop)
                raise
            finally:
                self.history.keep(self.state.epochs)
                if self.state.position is not None and self._has_diverged():
                    self.parameters[:] = self.state.position.before
                if self.state.watch.parameters is not None:
                    self.parameters[:] = self.state.watch.parameters
                spaces.trim()
        return self.history

    def _epoch(self) -> None:
        if self.state.position is None:
            began = checkpoint.generator_state(self.generator) if self.keeper else {}
            self.state = self.state._replace(position=Position(began, self.parameters.copy()))
        assert self.state.position is not None
        self._visit_all(self.state.position)
        self._note(self.state.position, self.validate() if self.validate else {})
        self._end_epoch()

    def _end_epoch(self) -> None:
        """Call the callbacks after an epoch, and save if it is time."""
        finished = self.after(self.history) or self.state.finished
        self.state = self.state._replace(finished=finished, pending=None)
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
        seed = int(self.generator.integers(2**62)) if self.dropout else 0
        batches = self.source.batches(config.batch_size)
        for visit in visits:
            size = min(config.batch_size or len(visit.order), len(visit.order))
            first, n = visit.skip, -(-len(visit.order) // size)
            start = position.batches - first
            rates = self._rates(past, start, n, batches)
            for piece, together in self._pieces(visit, size):
                if piece.stop == n:
                    self.source.seen(visit)  # before: a visit is seen again, but not trained on
                self._train(visit, size, piece, rates, seed, together, position)
                self._look_around(position, batches)
        if not position.batches:
            raise ValueError("there is nothing to train on: no batches came")

    def _rates(self, past: int, start: int, n: int, batches: int | None) -> np.ndarray:
        """Return the learning rates of n batches of an epoch, from batch `start` on."""
        x, step = np.full(n, float(past)), 1.0
        if batches is not None:
            x, step = past + np.arange(start, start + n) / batches, 1 / batches
        factors = self.config.schedule.factors(x, self.config.epochs, step)
        return self.config.learning_rate * (factors * self.state.plateau.factor)

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
        position.rate = float(rates[piece.stop - 1])
        position.sequences += len(order)
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
        position.seconds += perf_counter() - start
        if not (epoch.finite and checks.all_finite(self.parameters)):
            position.mark_divergence()
            raise _diverged(self.config, self.history)

    def _look_around(self, position: Position, batches: int | None) -> None:
        """Show progress between two pieces, and write a checkpoint if it is time."""
        share = position.batches / batches if batches else None
        loss, speed = (
            operations.reported(position.result).loss,
            position.sequences / position.seconds,
        )
        with self.signals.waiting():  # an exception while tqdm draws leaves its lock locked
            self.progress.within(self.history, share, loss, speed)
        wait = self.config.checkpoint_every.seconds
        if wait and perf_counter() - self._saved_at >= wait:
            self._save()

    def _note(self, position: Position, measures: dict[str, float]) -> None:
        """Record an epoch; let the schedule and early stopping see it."""
        state, epoch = self.state, operations.reported(position.result)
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
        loss = measures.get("loss", epoch.loss)
        watch = state.watch.after(loss, self.parameters)
        self.state = State(
            epochs=state.epochs + 1,
            plateau=state.plateau.after(loss),
            watch=watch,
            finished=watch.is_over,
            pending=self._pending(),
            position=None,
        )
        with self.signals.waiting():
            self.progress.epoch(self.history)


def _diverged(config: TrainingConfig, history: History) -> DivergedError:
    return DivergedError(
        f"training diverged in epoch {len(history) + 1} of {config.epochs}: the loss or a "
        "parameter is no longer finite. The parameters are those from before that epoch; a "
        f"learning rate smaller than {config.learning_rate:g} may help",
        history,
    )
