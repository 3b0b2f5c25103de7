"""What all models do: hold one flat vector of parameters, learn, predict, save."""

from __future__ import annotations

import os
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import validation
from ..cells.specs import CELLS
from ..cells.specs.cell import RESERVED
from ..data import checks
from ..layout.initialise import initialise
from ..layout.memory import aligned
from ..layout.parameters import parameter_views
from ..saving import model_file
from ..training.fit import Learner
from ..training.online import Online
from .architecture import Architecture
from .predict import Predictor
from .pytorch import TorchLayer, to_module

if TYPE_CHECKING:
    import torch


#: options that a model's repr shows even at their defaults
SHOWN = ("output_size", "loss", "dtype")
#: names of parameters, without the layer and the direction, of models that may not have them
KINDS = (*RESERVED, *(vector.name for cell in CELLS.values() for vector in cell.vectors))


class Model(Learner, Predictor):
    """What the recurrent models have in common; use one of them.

    Data are array-likes of any real dtype and layout, and never modified: X (N, T, I), with an
    embedding integers (N, T), and y (N, O), or (N,) where one number per sample is due; see `fit`.
    Results for N sequences and one output are (N,).

    Sequences of different lengths are given as a list of (T_i, I), or padded, with `lengths`; each
    is then treated as if it were alone, and what stands in the padding does not matter.  With
    ``return_sequences=True`` there is an output after every step: y and the results are (N, T, O),
    or (N, T), or lists where X is one.

    States are in PyTorch's form: (num_layers * directions, N, H), for the LSTM a pair (h, c).

    Methods raise TypeError for arguments of the wrong kind, masked arrays included, and
    ValueError for wrong shapes and values; the message names the argument and, for a value, its
    index.  NaN and infinities in the data are such values; ``check_finite=False`` saves the search
    for them.

    One thread at a time may use a model; several threads may each use their own.  A model can be
    pickled and copied; only the input of the last `forward` stays behind.
    """

    cell: ClassVar[str]  #: name in files and on the command line
    torch_layer: ClassVar[TorchLayer]

    def __init__(
        self,
        cell: str,
        arguments: dict[str, Any],
        *,
        seed: Any = None,
        learning_rate: float = 0.01,
        **options: Any,
    ) -> None:
        """Make a model of a cell; `arguments` are the options of its own class."""
        self._architecture = Architecture.of(options)
        self._arguments = arguments
        self._net = net = self._architecture.network(cell)
        self._generator = validation.generator(seed)
        self.learning_rate = learning_rate
        self._bind(aligned(net.n_parameters, net.dtype))
        initialise(self._views, net, self._generator)

    def _bind(self, flat: np.ndarray) -> None:
        """Take `flat` as the parameters from now on."""
        self._flat = flat
        self._views = parameter_views(flat, self._net)
        self._online = Online(self._net, flat)

    # ------------------------------------------------------------------------------ parameters

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Name to live, writeable view of each parameter."""
        self._online.stale = True  # the views may be about to be written to
        return dict(self._views)

    def __getattr__(self, name: str) -> Any:
        """A parameter: a live, writeable view."""
        if name in self.__dict__.get("_views", ()):
            return self.parameters[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        """Assigning to a parameter copies into it.

        TypeError or ValueError for what is not a finite real array of its shape; a bias may be
        given as a column.  AttributeError for a parameter that this model does not have.
        """
        if name in self.__dict__.get("_views", ()):
            view = self.parameters[name]
            view[...] = checks.parameter(name, value, view.shape, view.dtype)
        elif name.partition("_")[0] in KINDS:
            raise AttributeError(
                f"this {type(self).__name__} has no parameter {name!r}; it has "
                f"{', '.join(self._views)}"
            )
        else:
            object.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._views]

    # ------------------------------------------------------------------------------ attributes

    @property
    def learning_rate(self) -> float:
        """Step size of `backward`, and of `fit` unless it is given another."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = validation.rate("learning_rate", value)

    # ---------------------------------------------------------------- the tutorial's interface

    def forward(self, x: Any) -> np.ndarray:
        """Return the outputs, without dropout, and remember the input for `backward`.

        Parameters
        ----------
        x : array-like
            One sequence (T, I), or as columns (T, I, 1), or a batch (B, T, I); with an embedding
            (T,) or (B, T).  An array that could be both columns and a batch, that is (n, 1, 1)
            with I = 1, is one sequence.

        Returns
        -------
        ndarray of float64, whatever the model's dtype
            A script goes on with it in NumPy, which takes twice as long where dtypes are mixed.
            (O,), or (O, 1) for columns, or (B, O) for a batch, with an axis T before O if there is
            an output after every step: probabilities for bce (sigmoid) and cross_entropy
            (softmax), else values.
        """
        return self._online.forward(x)

    def backward(self, y: Any) -> None:
        """One step of gradient descent from the last `forward`: exact BPTT, at `learning_rate`.

        A batch descends the gradient of its mean loss.  The gradient is that of the parameters as
        they are now: had they been read, assigned or trained since `forward`, the forward pass is
        done anew.  Only what is written to a view taken before `forward` goes unnoticed.

        Parameters
        ----------
        y : array-like
            Targets as in `fit`, without N for one sequence: (O,) or (O, 1), or a number; (T, O) or
            (T,) for an output after every step.

        Raises
        ------
        RuntimeError
            There was no `forward`.
        """
        self._online.backward(y, self._learning_rate)

    # ------------------------------------------------------------------ files, copies, display

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the architecture, learning rate and parameters to a file, for `rnn_fast.load`.

        The state of the generator is not kept.  An existing file is replaced at once or, should
        that fail with an OSError, left as it is.
        """
        model_file.write(path, self.description(), self._views)

    def to_torch(self) -> torch.nn.Module:
        """Return a module of PyTorch that computes the logits, with weights of its own.

        Returns
        -------
        torch.nn.Module
            ``forward(x)`` takes a tensor (N, T, I), or indices (N, T), and gives what
            `decision_function` does, always with the axis of outputs.  Its parts are `rnn`
            (batch_first), `head` and `embedding`, or None; learned initial states are its
            parameters `h0` and `c0`.  Our bias is the first of PyTorch's two, of which the second
            starts at zero: trained as well, it makes the sum learn twice as fast.

        Raises
        ------
        ValueError
            An LSTM with peepholes, a GRU that resets before the product: PyTorch has neither.
        ImportError
            There is no PyTorch.
        """
        return to_module(self)

    def description(self) -> dict[str, Any]:
        """Return the cell and the arguments that make such a model, in terms of JSON."""
        options = {**self._architecture.arguments(), "learning_rate": self.learning_rate}
        return {"cell": self.cell, **options, **self._arguments}

    def __repr__(self) -> str:
        chosen = self._architecture
        hidden = [
            each.name
            for each in fields(chosen)
            if each.name not in SHOWN and getattr(chosen, each.name) == each.default
        ]
        shown = {k: v for k, v in self.description().items() if k not in ("cell", *hidden)}
        arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"<{type(self).__name__}({arguments}) with {self._flat.size} parameters>"

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_views"], state["_online"]  # made anew from the vector
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        flat = aligned(self._flat.size, self._net.dtype)
        flat[:] = self._flat
        self._bind(flat)


def _attribute(option: Field[Any]) -> property:
    """Make a read-only attribute of an option."""
    return property(
        lambda model: getattr(model._architecture, option.name), doc=option.metadata["doc"]
    )


for _option in fields(Architecture):
    setattr(Model, _option.name, _attribute(_option))
