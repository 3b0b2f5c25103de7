"""Models read from files, and from what other programs wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import validation
from ..cells.declared import DECLARED
from ..errors import ModelFileError
from ..layout.constraints import Constraint, constraints_from
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..losses import LOSSES, LossName
from .architecture import Architecture
from .base import Model
from .own import Recurrent, undeclared
from .recurrent import GRU, LSTM, LeakyRNN, SimpleRNN

if TYPE_CHECKING:
    import torch

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
        There is no such architecture, its cell is not declared, or its parameters have another size
        than those in the file.
    """
    arguments = dict(file.architecture)
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
    # Each run has parameters of its own, so a sum over the runs is as short as the file's header.
    if net.runs > len(file.parameters) or net.n_parameters * net.dtype.itemsize != sum(
        tensor.stop - tensor.start for tensor in file.parameters.values()
    ):
        raise ModelFileError("its parameters do not fit its architecture")
    try:
        constraints = constraints_from(net, records)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError("damaged: its constraints make no sense") from error
    return kind, arguments, net, constraints


def from_rtneural(
    path: str | os.PathLike[str],
    *,
    loss: str | None = None,
    loss_options: dict[str, Any] | None = None,
    return_sequences: bool = True,
    dtype: Any = "float32",
    learning_rate: float = 0.01,
    seed: Any = None,
) -> Model:
    """Return the model in a JSON file of RTNeural, AIDA-X or GuitarML.

    Files of RTNeural have layers gru or lstm of one size, a dense layer behind them, and perhaps an
    activation; files of GuitarML are those that Automated-GuitarAmpModelling writes.  AIDA-X's
    `in_skip` and GuitarML's `skip` become the option `skip`; AIDA-X's gains, which its plug-in
    applies outside of the network, are not read.

    Parameters
    ----------
    path : path
    loss : str, optional
        As for the models.  Default: bce for the activation sigmoid, cross_entropy for softmax, mse
        for none.
    loss_options, return_sequences, dtype, learning_rate, seed
        As for the models.  Numbers of a file that was written from float64 are the same with
        ``dtype="float64"`` only.

    Returns
    -------
    GRU, LSTM or SimpleRNN
        The bias is the sum of GuitarML's two biases; only the GRU's n keeps the second, as bhn.

    Raises
    ------
    ModelFileError
        The file is not of this kind, or has layers that no model has; the message says which.
    TypeError, ValueError
        An argument is wrong, or `loss` has other outputs than the file's.
    OSError
        The file cannot be read.
    """
    from ..formats.rtneural_reading import loss_of, read_rtneural

    found = read_rtneural(path, MODELS, validation.real_dtype(dtype))
    loss = loss_of(found.activation, loss)
    sizes = {"output_size": outputs_of(found.arguments["output_size"], loss, loss_options)}
    model = found.kind(
        **{**found.arguments, **sizes},
        loss=loss,
        loss_options=loss_options,
        return_sequences=return_sequences,
        dtype=dtype,
        learning_rate=learning_rate,
        seed=seed,
    )
    for name, array in found.parameters.items():
        setattr(model, name, array)
    return model


def from_torch(
    module: torch.nn.Module,
    head: torch.nn.Linear | None = None,
    embedding: torch.nn.Embedding | None = None,
    *,
    loss: LossName = "bce",
    loss_options: Mapping[str, Any] | None = None,
    return_sequences: bool = False,
    learning_rate: float = 0.01,
    seed: Seed = None,
) -> Model:
    """Return a model that computes the same as PyTorch's layers, with copies of the weights.

    Parameters
    ----------
    module : torch.nn.Module
        A torch.nn.RNN, GRU or LSTM, or a module that contains one, with a Linear and optionally an
        Embedding, such as `Model.to_torch` makes.  The module's own forward is run on random
        sequences, to see that it computes the same.  Any number of layers, one or both directions,
        with or without biases, float32 or float64.  ``batch_first`` does not matter: our X is
        (N, T, I).
    head : torch.nn.Linear, optional
        Layer from the states of all directions, forward first, to the logits or values.  Default:
        the Linear of `module`.
    embedding : torch.nn.Embedding, optional
        Layer before the recurrent layer; the model then takes indices.  Default: the Embedding of
        `module`, if there is one.
    loss, loss_options, return_sequences, learning_rate, seed
        As for the models.  A Linear with two outputs is one output of gaussian.

    Returns
    -------
    SimpleRNN, GRU or LSTM
        The bias is the sum of PyTorch's two biases; only the GRU's n keeps the second, as bhn.

    Raises
    ------
    TypeError
        There is no recurrent or Linear layer, or more than one, or a subclass has its own forward.
    ValueError
        The sizes of the layers do not fit, there is a projection (``proj_size``), or the dtype is
        neither float32 nor float64.  The forward of `module` does more than its layers: pass them
        instead.  A parameter is frozen, or the Embedding has a `padding_idx` or `max_norm`: models
        train all their parameters.
    ImportError
        PyTorch is not installed.
    """
    from ..formats.pytorch import read_module

    return_sequences = validation.flag("return_sequences", return_sequences)
    kind, arguments, parameters = read_module(
        module, head, embedding, return_sequences=return_sequences, models=MODELS
    )
    arguments["output_size"] = outputs_of(arguments["output_size"], loss, loss_options)
    model = kind(
        **arguments,
        loss=loss,
        loss_options=loss_options,
        return_sequences=return_sequences,
        learning_rate=learning_rate,
        seed=seed,
    )
    for name, array in parameters.items():
        setattr(model, name, array)
    return model


def outputs_of(n_logits: int, loss: str, loss_options: Any) -> int:
    """Return the outputs of a model that has so many logits.

    Raises
    ------
    TypeError, ValueError
        The loss or its options are none, or its outputs need another number of logits.
    """
    loss = validation.choice("loss", loss, LOSSES)
    each = LOSSES[loss].logits_of_value(
        LOSSES[loss].flat_options(LOSSES[loss].checked(loss_options))
    )
    if n_logits % each:
        raise ValueError(f"loss {loss} needs a multiple of {each} logits; the head has {n_logits}")
    return n_logits // each
