"""What all models do: hold one flat vector of parameters, learn, predict, save."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, ClassVar

import numpy as np

from . import checks, compute, fitting, io, params, scores, settings
from .history import History
from .online import Online
from .params import Parameter


class Model:
    """What the recurrent models have in common; use one of them.

    Data are array-likes of any real dtype and layout, and never modified: X (N, T, I), and y
    (N, O), or (N,) where one number per sample is due; see `fit`.  Results for N sequences and
    one output are (N,).

    Methods raise TypeError for arguments of the wrong kind, masked arrays included, and
    ValueError for wrong shapes and values; the message names the argument and, for a value, its
    index.  NaN and infinities in the data are such values; ``check_finite=False`` saves the search
    for them.

    One thread at a time may use a model; several threads may each use their own.  A model can be
    pickled and copied; only the input of the last `forward` stays behind.
    """

    cell: ClassVar[str]

    Wxh = Parameter()
    Whh = Parameter()
    bh = Parameter()
    Why = Parameter()
    by = Parameter()

    def __init__(self, net: compute.Network, seed: Any, learning_rate: float) -> None:
        self._net = net
        self._generator = settings.generator(seed)
        self.learning_rate = learning_rate
        self._bind(params.aligned(net.n_parameters, net.dtype))
        params.initialise(self._views, self._generator)

    def _bind(self, flat: np.ndarray) -> None:
        """Take `flat` as the parameters from now on."""
        self._flat = flat
        self._views = self._named(flat)
        self._online = Online(self._net, flat)

    def _named(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        net = self._net
        return params.views(flat, net.input_size, net.hidden_size, net.output_size)

    # ------------------------------------------------------------------------------ attributes

    @property
    def input_size(self) -> int:
        """I, features of each step."""
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
    def loss(self) -> str:
        """What is minimised: "bce", "cross_entropy" or "mse"."""
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
        self._learning_rate = settings.rate("learning_rate", value)

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Name to live, writeable view of each parameter."""
        self._online.stale = True  # the views may be about to be written to
        return dict(self._views)

    # ---------------------------------------------------------------- the tutorial's interface

    def forward(self, x: Any) -> np.ndarray:
        """Return the outputs after the last step, and remember the input for `backward`.

        Parameters
        ----------
        x : array-like
            One sequence (T, I), or as columns (T, I, 1), or a batch (B, T, I).  An array that
            could be both columns and a batch, that is (n, 1, 1) with I = 1, is one sequence.

        Returns
        -------
        ndarray of float64, whatever the model's dtype
            A script goes on with it in NumPy, which takes twice as long where dtypes are mixed.
            (O,), or (O, 1) for columns, or (B, O) for a batch: probabilities for bce (sigmoid)
            and cross_entropy (softmax), values for mse.
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
            Targets as in `fit`, without N for one sequence: (O,) or (O, 1), or a number.

        Raises
        ------
        RuntimeError
            There was no `forward`.
        """
        self._online.backward(y, self._learning_rate)

    # --------------------------------------------------------------------- the fast interface

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 10,
        batch_size: int | None = 32,
        learning_rate: float | None = None,
        optimizer: str = "sgd",
        momentum: float = 0.0,
        shuffle: bool = True,
        validation_data: tuple[Any, Any] | None = None,
        verbose: bool | int | None = None,
        check_finite: bool = True,
    ) -> History:
        """Train on N sequences.  Each epoch is one compiled call.

        Parameters
        ----------
        X : array-like, (N, T, I)
            Sequences.
        y : array-like, (N, O); also (N,) for one output and for classes
            bce: labels or probabilities in [0, 1].  cross_entropy: class indices (N,) or (N, 1),
            whole numbers from 0 to O - 1.  mse: values.
        epochs : int
            How often each sequence is seen.
        batch_size : int or None
            Sequences per update, the last batch may be short; None for all N.
        learning_rate : float or None
            Step size; None for the model's.
        optimizer : {"sgd"}
            ``v = momentum v + gradient; p = p - learning_rate v``.
        momentum : float
            In [0, 1).  Every `fit` starts from v = 0.
        shuffle : bool
            Whether each epoch takes the sequences in an order of its own, drawn from the model's
            generator, which goes on from one `fit` to the next.
        validation_data : (X, y) or None
            Measured after each epoch.
        verbose : {None, False, True, 2}
            Nothing, a progress bar, or a line per epoch, on stderr; None is a bar in a terminal
            or a notebook.
        check_finite : bool
            Whether NaN and infinities are searched for.

        Returns
        -------
        History
            Loss, accuracy and speed of each epoch.

        Raises
        ------
        DivergedError
            The loss or a parameter is no longer finite.  The parameters are those from before
            that epoch, and the error's `history` has the epochs until then.
        KeyboardInterrupt
            Comes at the end of an epoch; the model is as that epoch left it.
        """
        rate = self.learning_rate if learning_rate is None else learning_rate
        plan = fitting.plan(epochs, batch_size, rate, optimizer, momentum, shuffle, verbose)
        x, targets = self._data(X, y, check_finite)
        validate = None
        if validation_data is not None:
            held_out = self._data(*_pair(validation_data), check_finite, prefix="validation ")
            validate = partial(self._measure, *held_out)
        self._online.stale = True
        return fitting.train(self._net, self._flat, x, targets, plan, self._generator, validate)

    def decision_function(self, X: Any, *, check_finite: bool = True) -> np.ndarray:
        """Logits of N sequences, (N, O) or (N,), of the model's dtype; for mse its values."""
        return _squeezed(self._logits(X, check_finite))

    def predict_proba(self, X: Any, *, check_finite: bool = True) -> np.ndarray:
        """Probabilities of N sequences, (N, O) or (N,), of the model's dtype.

        For bce that of each output being 1, for cross_entropy that of each class.  A model for
        mse has none: ValueError.
        """
        if self.loss == "mse":
            raise ValueError("predict_proba needs a model with loss bce or cross_entropy, not mse")
        return _squeezed(scores.activation(self.loss, self._logits(X, check_finite)))

    def predict(self, X: Any, *, check_finite: bool = True) -> np.ndarray:
        """Return what the model says of N sequences.

        For bce labels 0 and 1, int64, (N, O) or (N,); for cross_entropy classes, int64, (N,);
        for mse values of the model's dtype, (N, O) or (N,).
        """
        logits = self._logits(X, check_finite)
        if self.loss == "mse":
            return _squeezed(logits)
        return _squeezed(scores.labels(self.loss, logits))

    def evaluate(self, X: Any, y: Any, *, check_finite: bool = True) -> dict[str, float]:
        """Mean ``loss`` on N sequences and, but for mse, ``accuracy``: `y` is as in `fit`.

        Accuracy is the share of the sequences whose labels are all right.
        """
        return self._measure(*self._data(X, y, check_finite))

    def loss_and_gradients(
        self, X: Any, y: Any, *, check_finite: bool = True
    ) -> tuple[float, dict[str, np.ndarray]]:
        """Mean loss of N sequences and its exact gradient by each parameter, name to fresh array.

        `y` is as in `fit`.  The loss is a mean over the outputs as well for bce and mse.
        """
        x, targets = self._data(X, y, check_finite)
        flat = params.aligned(self._flat.size, self.dtype)
        loss = compute.loss_and_gradients(self._net, x, targets, self._flat, flat)
        return float(loss), {name: view.copy() for name, view in self._named(flat).items()}

    def _data(
        self, X: Any, y: Any, check_finite: bool, prefix: str = ""
    ) -> tuple[np.ndarray, np.ndarray]:
        x = checks.sequences(prefix + "X", X, self._net, check_finite)
        return x, checks.targets(prefix + "y", y, len(x), self._net, check_finite)

    def _logits(self, X: Any, check_finite: bool) -> np.ndarray:
        x = checks.sequences("X", X, self._net, check_finite)
        return compute.logits(self._net, x, self._flat)

    def _measure(self, x: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        logits = compute.logits(self._net, x, self._flat)
        return scores.measures(self.loss, logits, targets)

    # ------------------------------------------------------------------ files, copies, display

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the architecture, learning rate and parameters to a file, for `rnn_fast.load`.

        The state of the generator is not kept.  An existing file is replaced at once or, should
        that fail with an OSError, left as it is.
        """
        io.write(path, {"cell": self.cell, **self._arguments()}, self._views)

    def _arguments(self) -> dict[str, Any]:
        """Return what makes a model of this architecture, in terms of JSON."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "output_size": self.output_size,
            "loss": self.loss,
            "dtype": self.dtype.name,
            "learning_rate": self.learning_rate,
        }

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self._arguments().items())
        return f"<{type(self).__name__}({arguments}) with {self._flat.size} parameters>"

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_views"], state["_online"]  # made anew from the vector
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        flat = params.aligned(self._flat.size, self._net.dtype)
        flat[:] = self._flat
        self._bind(flat)


def _pair(validation_data: Any) -> tuple[Any, Any]:
    try:
        X, y = validation_data
    except (TypeError, ValueError):
        raise ValueError("validation_data must be a pair (X, y)") from None
    return X, y


def _squeezed(array: np.ndarray) -> np.ndarray:
    """(N, 1) as (N,)."""
    return array[:, 0] if array.shape[1:] == (1,) else array
