"""The loop over epochs: order, one compiled call, what went wrong, what to report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from . import checkpoint, checks, compute, optimizers, schedules, settings, stopping
from .errors import DivergedError
from .history import History, progress
from .scores import CLASSIFIES


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
    save_every: int  # epochs
    bptt: int  # 0 for whole sequences
    verbose: bool | int | None


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
    verbose: Any,
) -> Plan:
    """Check the arguments of `Model.fit`; raise TypeError or ValueError."""
    if verbose not in (None, 0, 1, 2):
        raise ValueError(f"verbose must be None, False, True or 2; got {verbose!r}")
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
        save_every=settings.whole("checkpoint_every", save_every),
        bptt=0 if bptt is None else settings.whole("bptt", bptt),
        verbose=verbose,
    )


def train(
    net: compute.Network,
    parameters: np.ndarray,
    data: compute.Sequences,
    targets: compute.Targets,
    samples: np.ndarray,
    plan: Plan,
    generator: np.random.Generator,
    validate: Callable[[], dict[str, float]] | None,
    after: Callable[[History], bool],
    penalties: np.ndarray | None = None,
    keeper: checkpoint.Keeper | None = None,
    saved: checkpoint.Saved | None = None,
    dropout: float = 0.0,
    state: np.ndarray | None = None,
) -> History:
    """Train in place, with an optimizer whose state starts at zero.

    Parameters
    ----------
    net : Network
        The architecture.
    parameters : ndarray, (P,)
        Written.
    data, targets : Sequences, Targets
        As the functions of `data` return them.
    samples : ndarray of int64, (n,)
        Which sequences to train on.
    plan : Plan
        How to train.
    generator : Generator
        Draws the order of each epoch.
    validate : callable or None
        Measures the model after an epoch: its ``loss`` and, of a classifier, its ``accuracy``.
    after : callable
        Called after each epoch; true to end the training.
    penalties : ndarray or None
        As `params.penalties` gives them.
    keeper : Keeper or None
        Saves after every `plan.save_every` epochs and at the end.
    saved : Saved or None
        Where to go on from; `parameters` are those of it already.
    dropout : float
        Probability; if it is not 0, each epoch draws a seed for it from the generator.
    state : ndarray, (N, states, runs, H), or None
        Initial states.

    Raises
    ------
    DivergedError
        The loss or a parameter is no longer finite.
    """
    n = len(samples)
    batch_size = min(plan.batch_size or n, n)
    knobs = optimizers.knobs(plan.optimizer, plan.clip_norm, plan.clip_value)
    descent = compute.Descent(plan.optimizer.name, knobs, parameters.size, net.dtype, penalties)
    batches = -(-n // batch_size)
    progressed, plateau = np.arange(batches) / batches, schedules.Plateau(plan.schedule)
    watch = stopping.Watch(plan.stopping)
    history = History.begin(
        classifies=net.loss in CLASSIFIES,
        validates=validate is not None,
        penalizes=penalties is not None,
    )
    finished = False
    if saved is not None:
        history, finished = saved.history(), saved.training["finished"]
        descent.knobs[:] = saved.training["knobs"]
        descent.moments[:] = saved.arrays["moments"]
        vars(plateau).update(saved.training["plateau"])
        vars(watch).update(saved.training["watch"], parameters=saved.arrays.get("best"))
        checkpoint.set_generator_state(generator, saved.training["generator"])

    def save(keeper: checkpoint.Keeper) -> None:
        training = {
            "finished": finished,
            "history": vars(history),
            "knobs": descent.knobs.tolist(),
            "plateau": plateau.record(),
            "watch": watch.record(),
            "generator": checkpoint.generator_state(generator),
        }
        arrays = {"moments": descent.moments}
        if watch.parameters is not None:
            arrays["best"] = watch.parameters
        keeper.save(training, arrays)

    with progress(plan.epochs, plan.verbose) as show, watch.restoring(parameters):
        for past in range(len(history), 0 if finished else plan.epochs):
            order = samples[generator.permutation(n)] if plan.shuffle else samples
            seed = int(generator.integers(2**62)) if dropout else 0
            factors = plan.schedule.factors(past + progressed, plan.epochs) * plateau.factor
            rates = plan.learning_rate * factors
            start = perf_counter()
            with _finite_or_restored(parameters):
                epoch = compute.train_epoch(
                    net,
                    data,
                    targets,
                    order,
                    batch_size,
                    parameters,
                    descent,
                    rates,
                    bptt=plan.bptt,
                    dropout=dropout,
                    seed=seed,
                    state=state,
                )
                if not (epoch.finite and checks.all_finite(parameters)):
                    raise _diverged(plan, history)
            seconds = perf_counter() - start
            measures = validate() if validate else {}
            history.append(
                loss=float(epoch.loss),
                accuracy=epoch.correct,
                penalty=epoch.penalty,
                learning_rate=float(rates[-1]),
                seconds=seconds,
                sequences_per_second=n / seconds,
                **{f"val_{name}": value for name, value in measures.items()},
            )
            show(history)
            loss = measures.get("loss", epoch.loss)
            plateau.see(loss)
            enough = watch.see(loss, parameters)
            finished = after(history) or enough
            done = finished or len(history) == plan.epochs
            if keeper is not None and (done or len(history) % plan.save_every == 0):
                save(keeper)
            if finished:
                break
    return history


@contextmanager
def _finite_or_restored(parameters: np.ndarray) -> Iterator[None]:
    """Whatever ends an epoch early, a KeyboardInterrupt say, leave finite parameters behind.

    They are those of the last update, unless training diverged or they are no longer finite: then
    those from before the epoch.
    """
    before = parameters.copy()
    try:
        yield
    except BaseException as error:
        if isinstance(error, DivergedError) or not checks.all_finite(parameters):
            parameters[:] = before
        raise


def _diverged(plan: Plan, history: History) -> DivergedError:
    return DivergedError(
        f"training diverged in epoch {len(history) + 1} of {plan.epochs}: the loss or a parameter "
        "is no longer finite. The parameters are those from before that epoch; a learning rate "
        f"smaller than {plan.learning_rate:g} may help",
        history,
    )
