"""The parameters of both estimators, and the training of the model behind them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from typing import Any, Literal, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..cells.specs.leaky import ALPHA, Form
from ..cells.specs.simple import Nonlinearity
from ..models.base import Model
from ..models.loading import MODELS, ModelName
from ..optimizers import Optimizer, OptimizerName
from ..training.early_stopping import EarlyStopping
from ..training.history import History
from ..training.schedules import Schedule, ScheduleName
from ..validation import Dtype, choice, flag, rate, shown
from .sequences import count_features, read

#: what the descriptions of both classes share
COMMON = """
    cell : {"rnn", "leaky", "gru", "lstm"}
        Class of the model: `SimpleRNN`, `LeakyRNN`, `GRU` or `LSTM`.
    hidden_size : int
        H, hidden units.
    layout : {"NTI", "NIT"}
        Order of the axes of X: sequences by steps by features, or by features by steps as in aeon
        and sktime.  Sequences in a list are (T_i, I), or (I, T_i).
    input_size : int, optional
        I.  Default: the features of X in `fit`.  With `embedding_size` the size of the vocabulary,
        which no part of the data tells.
    num_layers, bidirectional, dropout, learn_initial_state, embedding_size, dtype, initial,
    input_noise, recurrent_noise, readout_dropout
        As in the model's class.
    nonlinearity, reset_after, peepholes, forget_bias
        As in `SimpleRNN` and `LeakyRNN` (the first), `GRU` (the second) and `LSTM`; other cells
        ignore them.
    alpha, learn_alpha, form
        As in `LeakyRNN`; other cells ignore them.
    epochs, batch_size, learning_rate, schedule, optimizer, clip_norm, clip_value, l1, l2,
    activity_l1, activity_l2
        As in `GRU.fit`, but other defaults.
    shuffle, shuffle_block, bptt, callbacks, checkpoint, checkpoint_every, resume, n_threads
        As in `GRU.fit`.  A callback is called as ``f(model, history)``.
    keep_optimizer : bool
        Whether the state of the optimizer goes on where `warm_start` does; in `partial_fit` it
        always does.
    early_stopping : bool, int or EarlyStopping
        Whether to hold out a share of the sequences and to stop when their loss has not improved
        for 10 epochs, or for a number of epochs, or by a rule.  The model then has the parameters
        of its best epoch.
    validation_fraction : float
        The share of the sequences that `early_stopping` holds out, for a classifier of each class.
        With 0 the training loss is watched.
    warm_start : bool
        Whether another `fit` goes on from the parameters of the last one.
    random_state : int, RandomState or None
        Draws the parameters, the order of the sequences, the held-out ones, dropout and noise.
    verbose : {None, False, True, 2}
        As in `GRU.fit`; by default nothing is shown.
    check_finite : bool
        Whether to search for NaN and infinities.
"""
ATTRIBUTES = """

    Attributes
    ----------
    model_ : SimpleRNN, LeakyRNN, GRU or LSTM
        The trained model.
    history_ : History
        Measures of each epoch of the last call.
    loss_curve_ : list of float
        Loss of each epoch, also of calls before it that this one continued.
    n_iter_ : int
        Epochs of the last call.
    n_features_in_ : int
        T if X was (N, T), which must not change; otherwise I.
    feature_names_in_ : ndarray of str
        Names of the columns, if X was a data frame (N, T) with names.
"""

Self = TypeVar("Self", bound="Estimator")
Kind = TypeVar("Kind", bound="type[Estimator]")


def documented(kind: Kind) -> Kind:
    """Add the parameters and attributes that both classes share to the docstring of one."""
    if kind.__doc__:  # python -OO has none
        text = kind.__doc__.replace("\n    COMMON\n", COMMON)
        kind.__doc__ = text.replace("\n    ATTRIBUTES\n", ATTRIBUTES)
    return kind


@dataclass(kw_only=True, eq=False, repr=False)
class Estimator(BaseEstimator):
    """The base class of both estimators; scikit-learn reads the parameters off its `__init__`.

    A parameter goes to the model's constructor or to its `fit` by its name.
    """

    cell: ModelName = "gru"
    hidden_size: int = 32
    layout: Literal["NTI", "NIT"] = "NTI"
    input_size: int | None = None
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    input_noise: float = 0.0
    recurrent_noise: float = 0.0
    readout_dropout: float = 0.0
    learn_initial_state: bool = False
    embedding_size: int | None = None
    dtype: Dtype = "float32"
    initial: Mapping[str, Any] | None = None
    nonlinearity: Nonlinearity = "tanh"
    alpha: float = ALPHA
    learn_alpha: bool = False
    form: Form = "rate"
    reset_after: bool = True
    peepholes: bool = False
    forget_bias: float | tuple[str, float] = 1.0
    epochs: int = 100
    batch_size: int | None = 32
    learning_rate: float = 0.01
    schedule: Schedule | ScheduleName | None = None
    optimizer: OptimizerName | Optimizer = "adam"
    clip_norm: float | None = None
    clip_value: float | None = None
    l1: float | Mapping[str, float] | None = None
    l2: float | Mapping[str, float] | None = None
    activity_l1: float | None = None
    activity_l2: float | None = None
    shuffle: bool = True
    shuffle_block: int | None = None
    bptt: int | None = None
    early_stopping: bool | int | EarlyStopping = False
    validation_fraction: float = 0.1
    callbacks: Iterable[Callable[[Any, History], object]] = ()
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_every: int | timedelta = 1
    resume: bool = False
    keep_optimizer: bool = False
    warm_start: bool = False
    random_state: Any = None
    n_threads: int | None = None
    verbose: bool | int | None = False
    check_finite: bool = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _arguments(self, function: Callable[..., Any], **others: Any) -> dict[str, Any]:
        """Return the arguments of a function that are parameters, or among `others`."""
        known = self.get_params(deep=False) | others
        return {name: known[name] for name in signature(function).parameters if name in known}

    def fit(self: Self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on N sequences.

        Parameters
        ----------
        X : array-like (N, T, I) or (N, T), or a list of (T_i, I)
            Sequences.  (N, T) are series of one feature.  With an embedding integers (N, T), or a
            list of (T_i,).
        y : array-like
            Targets, see the class.
        sample_weight : array-like (N,), optional
            Weight of each sequence in the loss.  Not negative.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            A parameter or the data are not as described.
        DivergedError
            The loss or a parameter of the model is no longer finite.
        """
        goes_on = flag("warm_start", self.warm_start) and hasattr(self, "model_")
        if not goes_on:  # what a failing call leaves is not fitted
            for name in [name for name in vars(self) if name[-1] == "_"]:
                delattr(self, name)
        return self._learn(
            X,
            y,
            goes_on=goes_on,
            sample_weight=sample_weight,
            early_stopping=self._rule(),
            validation_split=self._held_out(),
        )

    def _rule(self) -> Any:
        """Return `early_stopping` as `Model.fit` takes it."""
        if isinstance(self.early_stopping, (bool, np.bool_)):
            return EarlyStopping() if self.early_stopping else None
        return self.early_stopping

    def _held_out(self) -> float:
        """Return the share of the sequences that `fit` holds out."""
        share = rate("validation_fraction", self.validation_fraction, below=1)
        return 0.0 if self._rule() is None else share

    def _learn_once(self: Self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Train the model of the last call, or a new one, for one epoch."""
        if self._rule() is not None:
            raise ValueError(
                f"partial_fit is not for early_stopping; got {shown(self.early_stopping)}"
            )
        return self._learn(
            X,
            y,
            goes_on=hasattr(self, "model_"),
            sample_weight=sample_weight,
            epochs=1,
            schedule=None,
            early_stopping=None,
            keep_optimizer=True,
        )

    def _learn(self: Self, X: Any, y: Any, *, goes_on: bool, **others: Any) -> Self:
        """Train the model of the last call or a new one; `others` are arguments of its `fit`."""
        if y is None:
            name = type(self).__name__
            raise ValueError(f"{name} requires y to be passed, but the target y is None")
        X = read(self, X, reset=not goes_on)
        y, implied = self._targets(y)
        fresh = self._new(count_features(X), implied)
        model = self._checked(fresh) if goes_on else fresh
        arguments = self._arguments(model.fit, **implied, **others)
        history = model.fit(X, y, **{**arguments, "loss": None})  # the model has it
        self.loss_curve_: list[float] = [*getattr(self, "loss_curve_", ()), *history.loss]
        self.model_: Model = model
        self.history_: History = history
        self.n_iter_: int = len(history)
        return self

    def _targets(self, y: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Return targets as a model takes them, and the arguments that follow from them."""
        raise NotImplementedError

    def _new(self, features: int, implied: dict[str, Any]) -> Model:
        """Make a model for sequences of so many features."""
        kind = MODELS[choice("cell", self.cell, MODELS)]
        if self.input_size is not None:
            features = self.input_size
        elif self.embedding_size is not None:
            raise ValueError(
                "input_size must be the size of the vocabulary if there is an embedding_size; "
                "got None"
            )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return kind(**self._arguments(kind, **implied, input_size=features, seed=seed))

    def _checked(self, fresh: Model) -> Model:
        """Return the model of the last call, if a fresh one has the same architecture."""
        before = self.model_.description()
        for name, value in fresh.description().items():
            if name != "learning_rate" and value != before.get(name):
                raise ValueError(
                    f"{name} was {shown(before.get(name))} in the training that goes on; got "
                    f"{shown(value)}"
                )
        return self.model_

    def _apply(self, method: str, X: Any) -> Any:
        """Return the results of a method of the model, without training, for sequences."""
        check_is_fitted(self, "model_")
        function = getattr(self.model_, method)
        return function(read(self, X, reset=False), **self._arguments(function))
