"""Models read from files."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import validation
from ..cells.declared import DECLARED
from ..errors import ModelFileError
from ..layout.constraints import Constraint, constraints_from
from ..layout.network import Network
from ..layout.parameters import parameter_views
from .architecture import Architecture
from .base import Model
from .own import Recurrent, undeclared
from .recurrent import GRU, LSTM, LeakyRNN, SimpleRNN

if TYPE_CHECKING:
    from ..saving.model_file import ModelFile
    from ..validation import Seed


ModelName = Literal["rnn", "leaky", "gru", "lstm"]  #: keys of `MODELS`
MODELS: dict[str, Any] = {model.cell: model for model in (SimpleRNN, LeakyRNN, GRU, LSTM)}


def load(path: str | os.PathLike[str], *, seed: Seed = None) -> Model:
    """Return the model that `Model.save` wrote.

    Parameters
    ----------
    path : path
        A model file or a checkpoint.
    seed : None, int, SeedSequence, Generator, ...
        Draws the order of the sequences, and dropout, in further training; the file contains no
        state of a random generator.

    Raises
    ------
    ModelFileError
        The file is not a model, has another version, or is damaged, or the model is a `Recurrent`
        whose cell is not declared: the message says what to import first.  Nothing has been drawn
        from `seed`.
    TypeError, ValueError
        `path` is no path, or `seed` no seed.
    OSError
        The file cannot be read, or is a folder, a device or a FIFO; `FileNotFoundError` if it does
        not exist.
    """
    from ..saving import model_file

    generator = validation.generator(seed)
    with model_file.reading(path) as file:
        kind, arguments, net, constraints = _implied(file)
        nothing = np.broadcast_to(np.zeros((), net.dtype), net.n_parameters)  # without memory
        file.expect(parameter_views(nothing, net))
        arrays = file.read()
    model = kind(**arguments, seed=generator)
    for name, view in model.parameters.items():
        view[...] = arrays[name]
    model._set_constraints(constraints)
    return model


#: sizes of a model that costs nothing, to check all other options
LEAST = {
    "input_size": 2,  # as many as outputs: a skip adds them
    "hidden_size": 1,
    "output_size": 2,
    "num_layers": 1,
    "embedding_size": None,
}


def _kind(arguments: dict[str, Any]) -> Any:
    """Return the class of a file's arguments, and leave those of its constructor.

    Raises
    ------
    ModelFileError
        The cell is one of the user's own that is not declared.
    """
    cell = arguments.pop("cell")
    if cell in MODELS:
        return MODELS[cell]
    module = arguments.pop("module")
    if not isinstance(cell, str) or not isinstance(module, str):
        raise TypeError("no names")
    if cell not in DECLARED:
        raise ModelFileError(undeclared(cell, module))
    arguments["cell"] = cell
    return Recurrent


def _implied(file: ModelFile) -> tuple[Any, dict[str, Any], Network, dict[str, Constraint]]:
    """Return the class, the arguments, the network and the constraints of a file's architecture.

    Raises
    ------
    ModelFileError
        As `described`, or the parameters have another size than those in the file.
    """
    kind, arguments, net, records = described(file.architecture)
    # Each run has parameters of its own, so a sum over the runs is as short as the file's header.
    if net.runs > len(file.parameters) or net.n_parameters * net.dtype.itemsize != sum(
        tensor.stop - tensor.start for tensor in file.parameters.values()
    ):
        raise ModelFileError("its parameters do not fit its architecture")
    return kind, arguments, net, constraints_of(net, records)


def described(description: dict[str, Any]) -> tuple[Any, dict[str, Any], Network, Any]:
    """Return the class, its arguments, the network and records of constraints of a description.

    Raises
    ------
    ModelFileError
        There is no such architecture, or its cell is not declared.
    """
    arguments = dict(description)
    records = arguments.pop("constraints", {})
    try:
        kind = _kind(arguments)
        if arguments.get("dtype", "float32") not in [dtype.name for dtype in validation.DTYPES]:
            raise ValueError("another dtype")  # NumPy's language of dtypes is a large one
        least = kind(**{**arguments, **LEAST}, seed=0)
        options = {each.name for each in fields(Architecture)}
        shared = {name: value for name, value in arguments.items() if name in options}
        net: Network = Architecture.of(shared, kind).network(least._net.cell)
    except ModelFileError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError("unknown architecture, or damaged") from error
    return kind, arguments, net, records


def constraints_of(net: Network, records: Any) -> dict[str, Constraint]:
    """Return constraints from their records; ModelFileError if these make no sense."""
    try:
        return constraints_from(net, records)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError("damaged: its constraints make no sense") from error
