"""The models: what each computes, how it is made, and how it comes back from a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import compute, io, settings
from .base import Model
from .errors import ModelFileError
from .layout import LOSSES

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class SimpleRNN(Model):
    """A simple (Elman) recurrent network, read out after its last step.

    ``h_t = f(Wxh x_t + Whh h_{t-1} + bh)`` from ``h_0 = 0``, and logits ``Why h_T + by``.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        I, H and O, at least 1; for cross_entropy O is the number of classes, at least 2.
    nonlinearity : {"tanh", "relu"}
        f.
    loss : {"bce", "cross_entropy", "mse"}
        Binary cross-entropy of sigmoids, each output on its own; cross-entropy of the softmax;
        mean squared error.  The mean is over the sequences and, for bce and mse, the outputs.
    dtype : {"float32", "float64"} or dtype
        Of the parameters and all arithmetic.
    seed : None, int, SeedSequence, Generator, ...
        As for `numpy.random.default_rng`: draws the initial parameters, then the order of the
        sequences in training.
    learning_rate : float
        Step size of `backward`, and of `fit` unless it is given another.

    Attributes
    ----------
    Wxh, Whh, bh, Why, by : ndarray, (H, I), (H, H), (H,), (O, H), (O,)
        The parameters: live views that may be written to, or assigned.
    """

    cell = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int = 1,
        *,
        nonlinearity: str = "tanh",
        loss: str = "bce",
        dtype: DTypeLike = "float32",
        seed: Any = None,
        learning_rate: float = 0.01,
    ) -> None:
        least = 2 if settings.choice("loss", loss, LOSSES) == "cross_entropy" else 1
        net = compute.Network(
            nonlinearity=settings.choice("nonlinearity", nonlinearity, ("tanh", "relu")),
            dtype=settings.real_dtype(dtype),
            input_size=settings.whole("input_size", input_size),
            hidden_size=settings.whole("hidden_size", hidden_size),
            output_size=settings.whole(f"output_size for {loss}", output_size, least=least),
            loss=loss,
        )
        super().__init__(net, seed, learning_rate)

    @property
    def nonlinearity(self) -> str:
        """f: "tanh" or "relu"."""
        return self._net.nonlinearity

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), "nonlinearity": self.nonlinearity}


MODELS: dict[str, Callable[..., Model]] = {SimpleRNN.cell: SimpleRNN}


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
    generator = settings.generator(seed)
    architecture, arrays = io.read(path)
    try:
        model = MODELS[architecture.pop("cell")](**architecture, seed=generator)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{os.fspath(path)}: no architecture known here") from error
    views = model.parameters
    if _layout(arrays) != _layout(views):
        raise ModelFileError(f"{os.fspath(path)}: its parameters do not fit its architecture")
    for name, view in views.items():
        view[...] = arrays[name]
    return model


def _layout(arrays: dict[str, np.ndarray]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}
