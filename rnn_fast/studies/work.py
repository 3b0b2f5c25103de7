"""The training of one run: a record in, bytes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..data.parts import Part
from ..data.source import Source
from ..errors import DivergedError
from ..models.base import Model
from ..models.loading import MODELS
from ..saving.checkpoint import generator_state, set_generator_state
from ..training.early_stopping import Watch
from ..training.history import History
from .plan import Run, with_threads
from .sources import Sources, part_of, split_of

SPEED = ("learning_rate", "seconds", "sequences_per_second")  #: of a history: no measures
DONE, DIVERGED, FAILED, WAITING = "done", "diverged", "failed", "waiting"


class Outcome(NamedTuple):
    """The result of a run, as the store keeps it."""

    id: str
    status: str
    error: str = ""
    architecture: str = ""  #: JSON: arguments that make the model
    best_epoch: int = 0  #: whose parameters the model has, counted from 1; 0: none
    epochs_trained: int = 0
    seconds: float = 0.0  #: wall time
    scores: str = "{}"  #: JSON: measures at the best epoch
    parameters: bytes = b""
    columns: str = "[]"  #: JSON: names of the curves
    history: bytes = b""  #: float64, (columns, epochs)
    generator: str = ""  #: JSON: state of the generator


def train(
    run: Run, sources: Sources, n_threads: int = 1, between: Callable[[], None] = lambda: None
) -> tuple[Outcome, Exception | None]:
    """Train a run; return its result and, if it failed, the error.

    between : callable
        Called after each compiled call; what it raises beside an `Exception` passes through.
    """
    began = perf_counter()
    try:
        model = MODELS[run.cell](**run.model)
        return _trained(run, model, sources, n_threads, between, began)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return Outcome(run.id, FAILED, text, seconds=perf_counter() - began), error


def _trained(
    run: Run,
    model: Model,
    sources: Sources,
    n_threads: int,
    between: Callable[[], None],
    began: float,
) -> tuple[Outcome, Exception | None]:
    dataset = sources.dataset(run.data, model._net, run.class_weight)
    config = with_threads(run, n_threads)
    about = {"sequences": len(dataset), "blocks": len(dataset)}

    def parts() -> tuple[Source, Part | None]:
        if config.validation_split:
            return split_of(dataset, run.train, config).draw(model._generator)
        held_out = None if run.validation is None else part_of(dataset, run.validation)
        return part_of(dataset, run.train), held_out

    status, failure = DONE, None
    try:
        history = model._train(config, parts, about, between)
    except DivergedError as error:
        status, failure, history = DIVERGED, error, error.history
    epoch = best_epoch(history, config.rules(model._net)[0])
    scores = scores_of(history, epoch)
    if run.test is not None and status == DONE:
        measures = model._evaluation.measure(part_of(dataset, run.test), n_threads)
        scores |= {f"test_{name}": value for name, value in measures.items()}
    curves = history.arrays()
    outcome = Outcome(
        id=run.id,
        status=status,
        error="" if failure is None else str(failure),
        architecture=json.dumps(model.description()),
        best_epoch=epoch,
        epochs_trained=len(history),
        seconds=perf_counter() - began,
        scores=json.dumps(scores),
        parameters=model._flat.tobytes(),
        columns=json.dumps(list(curves)),
        history=np.concatenate(list(curves.values())).tobytes(),
        generator=json.dumps(generator_state(model._generator)),
    )
    return outcome, failure


def scores_of(history: History, epoch: int) -> dict[str, float]:
    """Return the measures of an epoch, counted from 1; of training as ``train_loss`` and so on."""
    if not epoch:
        return {}
    measures = {name: curve for name, curve in vars(history).items() if name not in SPEED and curve}
    return {
        name if name.startswith("val_") else f"train_{name}": curve[epoch - 1]
        for name, curve in measures.items()
    }


def best_epoch(history: History, watch: Watch) -> int:
    """Return the epoch whose parameters early stopping kept, counted from 1; else the last.

    watch : Watch
        Before the first epoch.
    """
    if watch.rule is None or not watch.rule.restore_best or not len(history):
        return len(history)
    values = watch.monitor.sign * np.array(getattr(history, watch.monitor.column))
    values[np.isnan(values)] = np.inf
    if not watch.rule.min_delta:
        return int(values.argmin()) + 1 if (values < np.inf).any() else len(history)
    best, epoch = np.inf, len(history)
    for at, value in enumerate(values.tolist(), 1):
        if value < best - watch.rule.min_delta:
            best, epoch = value, at
    return epoch


def curves(columns: str, history: bytes, epochs: int) -> History:
    """Return the curves of an outcome."""
    names = json.loads(columns or "[]")
    values = np.frombuffer(history or b"").reshape(len(names), epochs or 0).tolist()
    return History(**dict(zip(names, values, strict=True)))


def rebuilt(architecture: str, parameters: bytes, generator: str) -> Model:
    """Return the model of an outcome, whose generator goes on where the training ended."""
    arguments: dict[str, Any] = json.loads(architecture)
    model: Model = MODELS[arguments.pop("cell")](**arguments, seed=0)
    model._flat[:] = np.frombuffer(parameters, model._flat.dtype)
    set_generator_state(model._generator, json.loads(generator))
    return model
