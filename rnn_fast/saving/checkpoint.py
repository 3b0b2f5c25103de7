"""What a training run needs to go on where it stood, with the same bits.

A checkpoint is a model file, which `rnn_fast.load` reads, with the state of the training beside the
parameters: that of the optimizer, the schedule, early stopping, the random generator; the history.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFileError
from . import model_file


class Saved(NamedTuple):
    """What a checkpoint holds."""

    architecture: dict[str, Any]
    parameters: dict[str, np.ndarray]
    training: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.training["history"]["loss"])

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
            saved = Saved(*model_file.read_all(place))
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


class Keeper:
    """Writes the checkpoints of a training, and goes on from the last.

    Parameters
    ----------
    path : path
        The file.
    architecture : dict
        Of the model.
    parameters : dict of str to ndarray
        Live views of its parameters.
    generator : Generator
        The model's, as it is before the training.
    about : dict
        In terms of JSON: what must be the same for a training to be gone on with.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        architecture: dict[str, Any],
        parameters: Mapping[str, np.ndarray],
        generator: np.random.Generator,
        about: dict[str, Any],
    ):
        self.path, self.architecture, self.parameters = path, architecture, parameters
        self.generator, self.began = generator, generator_state(generator)
        model_file.clear(path)
        model = {k: v for k, v in architecture.items() if k != "learning_rate"}
        self.about = {"model": model, **about}

    def resume(self) -> Saved | None:
        """The last checkpoint, if there is one; parameters and generator are then put back.

        The generator as it was before the training; `Saved` has how it was at the checkpoint.

        Raises
        ------
        ValueError
            It is of another training.
        ModelFileError, OSError
            As `find`.
        """
        saved = find(self.path)
        if saved is not None:
            saved.expect(self.path, **self.about)
            model_file.check_same(self.path, saved.parameters, self.parameters)
            self.began = saved.training["began"]
            set_generator_state(self.generator, self.began)
            for name, view in self.parameters.items():
                view[...] = saved.parameters[name]
        return saved

    def save(self, training: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write a checkpoint, whole or not at all; the one before is kept.

        Raises
        ------
        OSError
            It cannot be written.
        """
        record = {**self.about, "began": self.began, **training}
        keep = previous(self.path)
        model_file.write(self.path, self.architecture, self.parameters, record, arrays, keep)


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
