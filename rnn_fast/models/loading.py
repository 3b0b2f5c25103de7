"""Models read from files and from PyTorch modules."""

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
        Draws the order of the sequences, and dropout, in further training; the file contains no
        state of a random generator.

    Raises
    ------
    ModelFileError
        The file is not a model, has another version, or is damaged.
    OSError
        The file cannot be read; `FileNotFoundError` if it does not exist.
    """
    generator = validation.generator(seed)
    architecture, arrays = model_file.read(path)
    try:
        model = MODELS[architecture.pop("cell")](**architecture, seed=generator)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{os.fspath(path)}: unknown architecture") from error
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
    loss, return_sequences, learning_rate, seed
        As for the models.

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
    return_sequences = validation.flag("return_sequences", return_sequences)
    kind, arguments, parameters = read_module(
        module, head, embedding, return_sequences=return_sequences, models=MODELS
    )
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
