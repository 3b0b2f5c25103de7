"""What a training run needs to go on where it stood, with the same bits.

A checkpoint is a model file, which `rnn_fast.load` reads, with the state of the training beside the
parameters: that of the optimizer, the schedule, early stopping, the random generator; the history.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from . import io
from .errors import ModelFileError
from .history import History

#: writes a training's record and arrays beside the model
Writer = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


class Saved(NamedTuple):
    """What a checkpoint holds."""

    architecture: dict[str, Any]
    parameters: dict[str, np.ndarray]
    training: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def history(self) -> History:
        """The epochs before it."""
        return History(**self.training["history"])

    def expect(self, path: Any, **wanted: Any) -> None:
        """Check that a training is the same as before.

        Raises
        ------
        ValueError
            It is not; the message says in what.
        """
        for name, value in wanted.items():
            had = self.training.get(name)
            if had != json.loads(json.dumps(value)):
                raise ValueError(
                    f"resume: {os.fspath(path)} is of a training with {name} {had}, not {value}"
                )


def previous(path: str | os.PathLike[str]) -> str:
    """Where the checkpoint before the last is kept."""
    return f"{os.fspath(path)}.previous"


def find(path: str | os.PathLike[str]) -> Saved | None:
    """The last checkpoint, or if that is damaged the one before, or None if there is neither.

    Raises
    ------
    ModelFileError
        There are files, but none that can be used.
    OSError
        They cannot be read.
    """
    problem: ModelFileError | None = None
    for place in (path, previous(path)):
        try:
            saved = Saved(*io.read_all(place))
            if not saved.training:
                raise ModelFileError(f"{os.fspath(place)}: a model, but not a checkpoint")
            return saved
        except FileNotFoundError:
            continue
        except ModelFileError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """The state of a generator in terms of JSON."""
    return _plain(generator.bit_generator.state)


def set_generator_state(generator: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put a generator into a state that `generator_state` gave.

    Raises
    ------
    ValueError
        It is of another kind.
    """
    try:
        generator.bit_generator.state = state
    except (KeyError, TypeError, ValueError):
        kind = type(generator.bit_generator).__name__
        raise ValueError(
            f"resume: the checkpoint's random generator is {state.get('bit_generator')}, the "
            f"model's is {kind}"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
