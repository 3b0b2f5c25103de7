"""What all models do: hold one flat vector of parameters, learn, predict, save."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import validation
from ..data import checks
from ..layout.initialise import initialise
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..saving import model_file
from ..training.fit import Learner
from ..training.online import Online
from .predict import Predictor
from .pytorch import to_module

if TYPE_CHECKING:
    import torch


#: what a model's repr leaves out
UNTOLD = (
    ("num_layers", 1),
    ("bidirectional", False),
    ("dropout", 0.0),
    ("return_sequences", False),
    ("learn_initial_state", False),
    ("embedding_size", None),
)
#: what parameters are called, but for the layer and the direction
KINDS = ("Wxh", "Whh", "bh", "bhn", "peephole", "Why", "by", "h0", "c0", "embedding")


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

    cell: ClassVar[str]

    def __init__(
        self,
        net: Network,
        seed: Any,
        learning_rate: float,
        dropout: float = 0.0,
    ) -> None:
        self._net = net
        self._generator = validation.generator(seed)
        self._dropout = dropout
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

    def __getattr__(self, name: str) -> np.ndarray:
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
    def input_size(self) -> int:
        """I, features of each step; with an embedding, the vocabulary."""
        return self._net.input_size

    @property
    def hidden_size(self) -> int:
        """H, hidden units."""
        return self._net.hidden_size

    @property
    def output_size(self) -> int:
        """O, outputs."""
        return self._net.output_size

    @property
    def num_layers(self) -> int:
        """Layers, one on top of the other."""
        return self._net.layers

    @property
    def bidirectional(self) -> bool:
        """Whether each layer reads both ways."""
        return self._net.directions == 2

    @property
    def return_sequences(self) -> bool:
        """Whether there is an output after every step."""
        return self._net.sequences

    @property
    def learn_initial_state(self) -> bool:
        """Whether the initial state is a parameter: h0, and c0 of the LSTM."""
        return self._net.learned_state

    @property
    def embedding_size(self) -> int | None:
        """E, the size of the learned embedding, or None."""
        return self._net.embedding or None

    @property
    def dropout(self) -> float:
        """Probability with which `fit` drops an output of a layer below the top."""
        return self._dropout

    @property
    def loss(self) -> str:
        """What is minimised: "bce", "cross_entropy", "mse", "huber" or "mae"."""
        return self._net.loss

    @property
    def dtype(self) -> np.dtype:
        """Of the parameters and all arithmetic: float32 or float64."""
        return self._net.dtype

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
        model_file.write(path, self._architecture(), self._views)

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

    def _architecture(self) -> dict[str, Any]:
        return {"cell": self.cell, **self._arguments()}

    def _arguments(self) -> dict[str, Any]:
        """Return what makes a model of this architecture, in terms of JSON."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "output_size": self.output_size,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "return_sequences": self.return_sequences,
            "learn_initial_state": self.learn_initial_state,
            "embedding_size": self.embedding_size,
            "loss": self.loss,
            "dtype": self.dtype.name,
            "learning_rate": self.learning_rate,
        }

    def __repr__(self) -> str:
        told = (i for i in self._arguments().items() if i not in UNTOLD)
        arguments = ", ".join(f"{name}={value!r}" for name, value in told)
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
