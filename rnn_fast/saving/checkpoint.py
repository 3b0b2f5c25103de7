"""Checkpoints, from which a training continues with the same bits.

A checkpoint is a model file, which `rnn_fast.load` reads, with the state of the training beside the
parameters: the states of optimizer, schedule, early stopping and random generator, and the last
rows of the history.  `journal` has the rows before them.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import validation
from ..errors import ModelFileError
from . import files, model_file, record, strict_json
from .journal import Journal, filed_rows, locked
from .record import Facts


class Saved(NamedTuple):
    """Content of a checkpoint, checked against `record`."""

    parameters: Mapping[str, np.ndarray]
    training: Mapping[str, Any]  #: as `Keeper.save` took it
    arrays: Mapping[str, np.ndarray]  #: of the training


def previous(path: str | os.PathLike[str]) -> str:
    """Return the path of the checkpoint before the last, beside the file that `path` leads to."""
    return f"{os.path.realpath(os.fsdecode(path))}.previous"


def epochs(path: str | os.PathLike[str]) -> int:
    """Return the number of finished epochs in a checkpoint.

    Raises
    ------
    ModelFileError, OSError
        As `model_file.reading`; also for a model without a training.
    """
    with model_file.reading(path) as file:
        return int(_summary(file)["epochs"])


def check_path(name: str, path: Any) -> str:
    """Return the argument `name` as the path of a checkpoint, where one can be written.

    Raises
    ------
    TypeError, ValueError
        It is no path.
    OSError
        Its folder is missing or not writable, or another thing than a file has one of its names.
    """
    path = validation.path(name, path)
    files.target_of(name, path)
    files.target_of(name, previous(path))
    return path


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
    facts : Facts
        Facts that a record must fit.

    Attributes
    ----------
    system : Files
        Calls of the operating system: a seam.
    """

    system: ClassVar[files.Files] = files.FILES

    def __init__(
        self,
        path: str | os.PathLike[str],
        architecture: dict[str, Any],
        parameters: Mapping[str, np.ndarray],
        generator: np.random.Generator,
        about: dict[str, Any],
        facts: Facts,
    ):
        self.path = check_path("checkpoint", path)
        self.architecture, self.parameters = architecture, parameters
        self.generator, self.began = generator, generator_state(generator)
        self.about, self.facts = about, facts
        self._target, self._previous = os.path.realpath(self.path), previous(self.path)
        self._keeps = True  # whether the last file is worth its second name
        self._journal = Journal(self._target, facts.columns, self._runs, self.system)
        self._undo: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None
        for file in (self._target, self._previous):
            files.clear(file)

    def resume(self) -> Saved | None:
        """Return the last checkpoint, or the one before if the last is damaged, or None.

        Parameters and generator are put back.  The generator is put back to its state before the
        training; `Saved` has its state at the checkpoint.

        Raises
        ------
        ValueError
            The checkpoint is of another training.
        ModelFileError
            There are files, but none of them is a whole checkpoint.
        OSError
            A file cannot be read.
        """
        with locked(self._target, create=False):
            saved = self._last()
        if saved is not None:
            views = self.parameters
            self._undo = self.began, {name: view.copy() for name, view in views.items()}
            self.began = saved.training["began"]
            set_generator_state(self.generator, self.began)
            for name, view in views.items():
                view[...] = saved.parameters[name]
        return saved

    def undo(self) -> None:
        """Put parameters and generator back to before `resume`, if that changed them."""
        if self._undo is not None:
            state, parameters = self._undo
            set_generator_state(self.generator, state)
            for name, view in self.parameters.items():
                view[...] = parameters[name]

    def save(self, training: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write a checkpoint, whole or not at all, and keep the one before.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        history, n = training["history"], len(training["history"]["loss"])
        alone: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if self._journal.is_long(n):
            alone = locked(self._target, create=True, system=self.system)
        with alone:
            noted, rows = self._journal.note(history, n)
            state = {**self.about, "began": self.began, **training, "history": noted}
            model_file.write(
                self._target,
                self.architecture,
                self.parameters,
                state,
                {**arrays, "history": rows},
                self._previous if self._keeps else None,
                self.system,
            )
        self._keeps = True

    # --------------------------------------------------------------------------------- reading

    def _last(self) -> Saved | None:
        problem: ModelFileError | None = None
        for file in (self.path, self._previous):
            try:
                saved = self._read(file)
            except FileNotFoundError:
                continue
            except ModelFileError as error:
                problem = problem or error
                continue
            self._keeps = problem is None
            return saved
        if problem is not None:
            raise ModelFileError(f"resume: checkpoint {problem}") from problem.__cause__
        return None

    def _read(self, path: str) -> Saved:
        """Return the checkpoint in a file, after all checks."""
        with model_file.reading(path) as file:
            training = _training(file)
            self._check_same(file, training)
            file.expect(self.parameters)
            state = {name: value for name, value in training.items() if name not in self.about}
            record.check(state, self.facts, self.generator)
            shapes = record.shapes(state, self.facts)
            if {name: tensor[:2] for name, tensor in file.arrays.items()} != shapes:
                raise ModelFileError("damaged: the arrays of its training have other shapes")
            found = file.read(is_checkpoint=True)
            arrays = {name: found.pop(model_file.TRAINING + name) for name in shapes}
            filed = filed_rows(self._target, state["history"])
            rows = arrays["history"] = np.concatenate([filed, arrays["history"]])
            record.check_arrays(arrays, self.facts)
            history = dict(zip(self.facts.columns, rows.T.tolist(), strict=True))
            return Saved(found, {**state, "history": history}, arrays)

    def _check_same(self, file: model_file.ModelFile, training: Mapping[str, Any]) -> None:
        """Check that a checkpoint is of the same training.

        Raises
        ------
        ValueError
            A setting differs from the saved one; the message names it.
        """
        pairs: dict[str, Any] = {"model": (_model(file.architecture), _model(self.architecture))}
        for name, value in self.about.items():
            if name not in training:
                raise ValueError(f"resume: {self.path} is of a training without {name}")
            pairs[name] = training[name], value
        kind = type(self.generator.bit_generator).__name__
        for name, (saved, value) in pairs.items():
            if saved != json.loads(json.dumps(value)):
                raise ValueError(
                    f"resume: {self.path} is of a training with {name} {saved}, not {value}"
                )
        began = training.get("began")
        saved_kind = began.get("bit_generator") if isinstance(began, dict) else kind
        if isinstance(saved_kind, str) and saved_kind != kind:
            raise ValueError(
                f"resume: the checkpoint's random generator is {saved_kind}, the model's is {kind}"
            )

    def _runs(self) -> list[str | None]:
        """Return the runs whose filed rows the checkpoint before the last and the last need."""
        runs: list[str | None] = []
        for path in (self._previous, self._target):
            try:
                with model_file.reading(path) as file:
                    history = _summary(file)
                    runs.append(history["run"] if history["filed"] else None)
            except (OSError, ModelFileError):
                runs.append(None)
        return runs


def _training(file: model_file.ModelFile) -> dict[str, Any]:
    """Return the record of a training in a file."""
    if not file.training:
        raise ModelFileError("a model, but not a checkpoint")
    try:
        training = strict_json.read(file.training, constants=True)
    except ValueError as error:
        raise ModelFileError("damaged: the record of its training makes no sense") from error
    if not isinstance(training, dict):
        raise ModelFileError("damaged: the record of its training is no JSON object")
    return training


def _summary(file: model_file.ModelFile) -> dict[str, Any]:
    """Return the record of the history in a file."""
    history = _training(file).get("history")
    if not isinstance(history, dict) or not {"epochs", "filed", "run"} <= history.keys():
        raise ModelFileError("damaged: it has no record of its history")
    return history


def _model(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a training may not change."""
    return {name: value for name, value in architecture.items() if name != "learning_rate"}


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator, as JSON can hold it."""
    state: dict[str, Any] = record.plain(generator.bit_generator.state)
    return state


def set_generator_state(generator: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put a generator into a state that `generator_state` returned."""
    generator.bit_generator.state = state
