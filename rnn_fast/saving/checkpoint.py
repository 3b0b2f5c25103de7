"""Checkpoints, from which a training continues with the same bits.

A checkpoint is a model file, which `rnn_fast.load` reads, with the state of the training beside the
parameters: the history, and the states of optimizer, schedule, early stopping and random generator.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ModelFileError
from . import model_file


class Saved(model_file.Content):
    """Content of a checkpoint."""

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.training["history"]["loss"])

    def expect(self, path: Any, **expected: Any) -> None:
        """Check that a training is the same as before.

        Raises
        ------
        ValueError
            A value differs from the saved one; the message names it.
        """
        for name, value in expected.items():
            saved = self.training.get(name)
            if saved != json.loads(json.dumps(value)):
                raise ValueError(
                    f"resume: {os.fspath(path)} is of a training with {name} {saved}, not {value}"
                )


def previous(path: str | os.PathLike[str]) -> str:
    """Return the path of the checkpoint before the last."""
    return f"{os.fspath(path)}.previous"


def find(path: str | os.PathLike[str]) -> Saved | None:
    """Return the last checkpoint, or the one before if it is damaged; None if there is no file.

    Raises
    ------
    ModelFileError
        There are files, but none of them is a whole checkpoint.
    OSError
        A file cannot be read.
    """
    problem: ModelFileError | None = None
    for file in (path, previous(path)):
        try:
            saved = Saved(*model_file.read_all(file))
            if not saved.training:
                raise ModelFileError(f"{os.fspath(file)}: a model, but not a checkpoint")
            return saved
        except FileNotFoundError:
            continue
        except ModelFileError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


class Keeper:
    """Writer of the checkpoints of a training.

    Parameters
    ----------
    path : path
        File of the last checkpoint.
    architecture : dict
        Arguments that make the model.
    parameters : dict of str to ndarray
        Live views of the model's parameters.
    generator : Generator
        Random generator of the model, before the training.
    about : dict
        Settings that must not differ when the training is resumed, as JSON can hold them.
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
        """Return the last checkpoint, or None; put parameters and generator back.

        The generator is put back to its state before the training.  `Saved` has its state at the
        checkpoint.

        Raises
        ------
        ValueError
            The checkpoint is of another training.
        ModelFileError, OSError
            As `find` raises.
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
        """Write a checkpoint, whole or not at all, and keep the one before.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        record = {**self.about, "began": self.began, **training}
        keep = previous(self.path)
        model_file.write(self.path, self.architecture, self.parameters, record, arrays, keep)


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator, as JSON can hold it."""
    return _plain(generator.bit_generator.state)


def set_generator_state(generator: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put a generator into a state that `generator_state` returned.

    Raises
    ------
    ValueError
        The state is of another kind of generator.
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
