"""The loop over epochs: what to visit, compiled pieces of it, what went wrong, what to report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import checkpoint, checks, compute, optimizers, schedules, settings, stopping, threads
from .errors import DivergedError, Terminated
from .feeds import Visit
from .history import History, progress
from .scores import CLASSIFIES, Spread
from .signals import Signals


class Plan(NamedTuple):
    """How to train; checked values."""

    epochs: int
    batch_size: int | None  # None for all
    learning_rate: float
    schedule: Any  # one of `schedules`
    optimizer: optimizers.Optimizer
    clip_norm: float  # 0 for no limit
    clip_value: float
    stopping: stopping.EarlyStopping | None
    shuffle: bool
    save_every: int  # epochs; 0 for those at the end alone
    save_seconds: float  # between checkpoints; 0 for those after epochs alone
    bptt: int  # 0 for whole sequences
    n_threads: int
    verbose: bool | int | None

    def shaping(self) -> str:
        """In words, all that the parameters after an epoch depend on."""
        own = self._replace(epochs=0, save_every=0, save_seconds=0.0, n_threads=0, verbose=None)
        return repr(own)


def plan(
    epochs: Any,
    batch_size: Any,
    learning_rate: Any,
    schedule: Any,
    optimizer: Any,
    clip_norm: Any,
    clip_value: Any,
    early_stopping: Any,
    shuffle: Any,
    bptt: Any,
    save_every: Any,
    n_threads: Any,
    verbose: Any,
) -> Plan:
    """Check the arguments of `Model.fit`; raise TypeError or ValueError."""
    if verbose not in (None, 0, 1, 2):
        raise ValueError(f"verbose must be None, False, True or 2; got {verbose!r}")
    seconds = 0.0
    if isinstance(save_every, timedelta):
        seconds, save_every = save_every.total_seconds(), 0
        settings.above_zero("checkpoint_every", seconds)
    else:
        save_every = settings.whole("checkpoint_every", save_every)
    return Plan(
        epochs=settings.whole("epochs", epochs, least=0),
        batch_size=None if batch_size is None else settings.whole("batch_size", batch_size),
        learning_rate=settings.rate("learning_rate", learning_rate),
        schedule=schedules.chosen(schedule),
        optimizer=optimizers.chosen(optimizer),
        clip_norm=0.0 if clip_norm is None else settings.above_zero("clip_norm", clip_norm),
        clip_value=0.0 if clip_value is None else settings.above_zero("clip_value", clip_value),
        stopping=stopping.chosen(early_stopping),
        shuffle=bool(shuffle),
        save_every=save_every,
        save_seconds=seconds,
        bptt=0 if bptt is None else settings.whole("bptt", bptt),
        n_threads=threads.wanted(n_threads),
        verbose=verbose,
    )


class Source(Protocol):
    """What a training visits: a `feeds.Part` or a `streams.Stream`."""

    def batches(self, batch_size: int | None) -> int | None:
        """In an epoch, if that is known before it."""

    def epoch(
        self, generator: np.random.Generator | None, batch_size: int | None, skip: int = 0
    ) -> Iterator[Visit]:
        """What there is to visit in an epoch, but for the first batches; shuffled, if by whom."""

    def seen(self, visit: Visit) -> None:
        """Take note that all batches of a visit have been worked on."""

    def spread(self) -> Spread:
        """That of the targets seen."""

    def record(self) -> Any:
        """What has been seen, in terms of JSON."""

    def restore(self, record: Any, epochs: int) -> None:
        """Go on after so many epochs, and with what `record` gave."""


class Position:
    """Where in an epoch a training is, between two updates.

    Attributes
    ----------
    began : dict
        State of the generator before the epoch's draws.
    batches : int
        That have been worked on.
    sequences : int
        In them.
    seconds : float
        They took.
    rate : float
        Learning rate of the last of them.
    result : (RESULTS,) float64 array
        What the epoch has summed up.
    """

    def __init__(self, began: dict[str, Any]):
        self.began = began
        self.batches, self.sequences, self.seconds, self.rate = 0, 0, 0.0, 0.0
        self.result = np.zeros(compute.RESULTS)

    def record(self) -> dict[str, Any]:
        """All of it in terms of JSON."""
        return {**vars(self), "result": self.result.tolist()}

    @classmethod
    def restored(cls, record: dict[str, Any]) -> Position:
        """The reverse of `record`."""
        own = cls(record["began"])
        vars(own).update({**record, "result": np.array(record["result"])})
        return own


class Training:
    """A training, with an optimizer whose state starts at zero, or where a checkpoint left it.

    Parameters
    ----------
    net : Network
        The architecture.
    parameters : ndarray, (P,)
        Written by `run`.
    source : Source
        What to visit.
    plan : Plan
        How to train.
    generator : Generator
        Draws the order of each epoch and, if there is dropout, a seed for it.
    validate : callable or None
        Measures the model after an epoch, as `scores.names` says.
    after : callable
        Called after each epoch; true to end the training.
    penalties : ndarray or None
        As `params.penalties` gives them.
    keeper : Keeper or None
        Saves, as the plan says, at the end, and when the training is stopped by a signal.
    saved : Saved or None
        Where to go on from; `parameters` are those of it already.
    dropout : float
        Probability.
    """

    def __init__(
        self,
        net: compute.Network,
        parameters: np.ndarray,
        source: Source,
        plan: Plan,
        generator: np.random.Generator,
        validate: Callable[[], dict[str, float]] | None,
        after: Callable[[History], bool],
        penalties: np.ndarray | None = None,
        keeper: checkpoint.Keeper | None = None,
        saved: checkpoint.Saved | None = None,
        dropout: float = 0.0,
    ):
        self.net, self.parameters, self.source, self.plan = net, parameters, source, plan
        self.generator, self.validate, self.after = generator, validate, after
        self.keeper, self.dropout = keeper, dropout
        knobs = optimizers.knobs(plan.optimizer, plan.clip_norm, plan.clip_value)
        own = (plan.optimizer.name, knobs, parameters.size, net.dtype, penalties)
        self.descent, self.plateau = compute.Descent(*own), schedules.Plateau(plan.schedule)
        self.watch, self.finished = stopping.Watch(plan.stopping), False
        self.history = History.begin(
            classifies=net.loss in CLASSIFIES,
            validates=validate is not None,
            penalizes=penalties is not None,
        )
        self.position: Position | None = None  # of an epoch that has begun
        self._saved_at = perf_counter()
        if saved is not None:
            self._restore(saved)

    def _restore(self, saved: checkpoint.Saved) -> None:
        training = saved.training
        self.history, self.finished = saved.history(), training["finished"]
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
        left = 0 if self.finished else self.plan.epochs - len(self.history)
        per_row = compute.seconds_per_row(self.net)
        with (
            threads.Team(self.plan.n_threads) as self.team,
            progress(self.plan.epochs, len(self.history), self.plan.verbose) as self.progress,
            self.watch.restoring(self.parameters),
            Signals() as self.signals,
        ):
            self.pace = threads.Pace(per_row, self.plan.n_threads > 1)
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
                self.parameters[:] = before  # whatever ends an epoch early
            raise
        measures = self.validate() if self.validate else {}
        with self.signals.waiting():
            self._note(position, measures)
        self.finished = self.after(self.history) or self.finished
        if self.finished or len(self.history) == self.plan.epochs or self._due():
            with self.signals.waiting():
                self._save()

    def _due(self) -> bool:
        every = self.plan.save_every
        return every > 0 and len(self.history) % every == 0

    def _visit_all(self, position: Position) -> None:
        """What is left of an epoch."""
        plan, past = self.plan, len(self.history)
        shuffler = self.generator if plan.shuffle else None
        visits = self.source.epoch(shuffler, plan.batch_size, position.batches)
        seed = int(self.generator.integers(2**62)) if self.dropout else 0
        batches = self.source.batches(plan.batch_size)
        for visit in visits:
            size = min(plan.batch_size or len(visit.order), len(visit.order))
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
        """The learning rates of n batches of an epoch from batch `start` on."""
        x, step = np.full(n, float(past)), 1.0
        if batches is not None:
            x, step = past + np.arange(start, start + n) / batches, 1 / batches
        factors = self.plan.schedule.factors(x, self.plan.epochs, step)
        return self.plan.learning_rate * (factors * self.plateau.factor)

    def _pieces(self, visit: Visit, size: int) -> Iterator[tuple[slice, bool]]:
        """The batches of a visit, some at a time, and whether the team is to work on them."""
        lengths = visit.block.given.sequences.lengths
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
        """Some batches of a visit, in one compiled call."""
        block, order = visit.block, visit.order[piece.start * size : piece.stop * size]
        start = perf_counter()
        epoch = compute.train_epoch(
            self.net,
            block.given.sequences,
            block.targets,  # type: ignore[arg-type]  # there are any where there is training
            order,
            size,
            self.parameters,
            self.descent,
            rates[piece],
            bptt=self.plan.bptt,
            dropout=self.dropout,
            seed=seed,
            state=block.state,
            team=self.team if together else None,
            result=position.result,
        )
        if not (epoch.finite and checks.all_finite(self.parameters)):
            raise _diverged(self.plan, self.history)
        position.batches += piece.stop - piece.start
        position.sequences += len(order)
        position.seconds += perf_counter() - start
        position.rate = float(rates[piece.stop - 1])

    def _look_around(self, position: Position, batches: int | None) -> None:
        """Between two pieces: progress, and a checkpoint if it is time for one."""
        share = position.batches / batches if batches else None
        loss, speed = compute.reported(position.result).loss, position.sequences / position.seconds
        self.progress.within(self.history, share, loss, speed)
        wait = self.plan.save_seconds
        if wait and perf_counter() - self._saved_at >= wait:
            with self.signals.waiting():
                self._save()

    def _note(self, position: Position, measures: dict[str, float]) -> None:
        """Write an epoch down, and draw the conclusions."""
        epoch = compute.reported(position.result)
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
        """After a signal: keep what there is, and say how far it went."""
        text = f"training stopped after {len(self.history)} of {self.plan.epochs} epochs"
        if self.position is not None and self.position.batches:
            text += f" and {self.position.batches} batches"
        if self.keeper is not None:
            self._save()
            text += f"; resume=True goes on from {self.keeper.path}"
        if isinstance(stop, KeyboardInterrupt):
            stop.args = (text,)
        elif isinstance(stop, Terminated):
            stop.told = text


def _diverged(plan: Plan, history: History) -> DivergedError:
    return DivergedError(
        f"training diverged in epoch {len(history) + 1} of {plan.epochs}: the loss or a parameter "
        "is no longer finite. The parameters are those from before that epoch; a learning rate "
        f"smaller than {plan.learning_rate:g} may help",
        history,
    )
