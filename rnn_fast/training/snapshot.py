"""The content of a checkpoint, beside the parameters: taken from a training, and put back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..data.source import Source
from ..engine.optimizer_state import Descent
from ..saving import checkpoint
from .history import History
from .position import Pending, Position, State


def snapshot(
    state: State,
    history: History,
    descent: Descent,
    generator: np.random.Generator,
    source: Source,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a training in terms of JSON, and its arrays, as `Keeper.save` takes them."""
    position = state.position
    training = {
        "rate": state.rate,
        "finished": state.finished,
        "history": vars(history),
        "knobs": descent.knobs.tolist(),
        "plateau": state.plateau.record(),
        "watch": state.watch.record(),
        "generator": checkpoint.generator_state(generator),
        "source": source.record(),
        "pending": state.pending is not None,
        "position": position.record() if position else None,
    }
    arrays = {"moments": descent.moments}
    if state.watch.parameters is not None:
        arrays["best"] = state.watch.parameters
    if position is not None:
        arrays["before"] = position.before
    return training, arrays


def restored(
    saved: checkpoint.Saved,
    begun: State,
    parameters: np.ndarray,
    descent: Descent,
    generator: np.random.Generator,
    source: Source,
) -> tuple[State, History]:
    """Put optimizer, generator and source back; return the state and the history.

    begun : State
        State of the training before its first epoch.
    parameters : (P,) ndarray
        Parameters of the checkpoint.
    """
    training, position, pending = saved.training, None, None
    history = History(**training["history"])
    descent.knobs[:] = training["knobs"]
    descent.moments[:] = saved.arrays["moments"]
    checkpoint.set_generator_state(generator, training["generator"])
    source.restore(training["source"], len(history))
    if training["position"] is not None:
        position = Position.restored(training["position"], saved.arrays["before"])
        checkpoint.set_generator_state(generator, position.began)
    if training["pending"]:
        pending = Pending(parameters.copy(), checkpoint.generator_state(generator))
    state = State(
        epochs=len(history),
        plateau=replace(begun.plateau, **training["plateau"]),
        watch=replace(begun.watch, **training["watch"], parameters=saved.arrays.get("best")),
        rate=training["rate"],
        finished=training["finished"],
        pending=pending,
        position=position,
    )
    return state, history
