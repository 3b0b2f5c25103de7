"""Models from files, and from PyTorch's modules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .. import validation
from ..errors import ModelFileError
from ..saving import model_file
from .base import Model
from .pytorch import read_module
from .recurrent import GRU, LSTM, SimpleRNN

if TYPE_CHECKING:
    import torch


MODELS: dict[str, Any] = {model.cell: model for model in (SimpleRNN, GRU, LSTM)}


def load(path: str | os.PathLike[str], *, seed: Any = None) -> Model:
    """Return the model that `Model.save` wrote.

    Parameters
    ----------
    path : path
        The file.
    seed : None, int, SeedSequence, Generator, ...
        Of the order of the sequences in further training; the file keeps none.

    Raises
    ------
    ModelFileError
        The file is not a model, of another version, or damaged.
    OSError
        It cannot be read; `FileNotFoundError` if there is none.
    """
    generator = validation.generator(seed)
    architecture, arrays = model_file.read(path)
    try:
        model = MODELS[architecture.pop("cell")](**architecture, seed=generator)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{os.fspath(path)}: no architecture known here") from error
    views = model.parameters
    model_file.check_same(path, arrays, views)
    for name, view in views.items():
        view[...] = arrays[name]
    return model


def from_torch(
    module: torch.nn.Module,
    head: torch.nn.Linear | None = None,
    embedding: torch.nn.Embedding | None = None,
    *,
    loss: str = "bce",
    return_sequences: bool = False,
    learning_rate: float = 0.01,
    seed: Any = None,
) -> Model:
    """Return a model that computes what PyTorch's layers do, with weights of its own.

    Parameters
    ----------
    module : torch.nn.Module
        A torch.nn.RNN, GRU or LSTM, or a module that holds one, with a Linear and perhaps an
        Embedding, as `Model.to_torch` makes them.  Any number of layers, one or both directions,
        with or without biases, float32 or float64.  ``batch_first`` does not matter: our X is
        (N, T, I).
    head : torch.nn.Linear, optional
        From the states of all directions, forward first, to the outputs: logits, or values.  That
        of `module` without.
    embedding : torch.nn.Embedding, optional
        In front of the recurrent layer; the model then takes indices.
    loss, return_sequences, learning_rate, seed
        As for the models.

    Returns
    -------
    SimpleRNN, GRU or LSTM
        PyTorch's two biases are one here, their sum; only the GRU's n keeps the second, as bhn.

    Raises
    ------
    TypeError
        There is not one layer of each kind.
    ValueError
        Layers that do not fit together, a projection (``proj_size``), another dtype.
    ImportError
        There is no PyTorch.
    """
    kind, arguments, parameters = read_module(module, head, embedding, models=MODELS)
    model = kind(
        **arguments,
        loss=loss,
        return_sequences=return_sequences,
        learning_rate=learning_rate,
        seed=seed,
    )
    for name, array in parameters.items():
        setattr(model, name, array)
    return model
