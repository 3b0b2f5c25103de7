"""The regression of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_array, column_or_1d

from ..data.targets import Missing, missing_word
from ..losses import LOSSES, LossName
from ..validation import choice
from .estimator import Estimator, documented


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class RNNRegressor(RegressorMixin, Estimator):
    """A recurrent network for scikit-learn that predicts one or several values of a sequence.

    y is (N,), or (N, O) for several outputs.

    Parameters
    ----------
    loss : {"mse", "huber", "mae", "poisson", "quantile", "gaussian"}
        Loss that `fit` minimises, as in `GRU`.  `predict` returns the means of gaussian, and every
        level of quantile: `score` needs one level.
    loss_options : dict, optional
        Options of the loss, as in `GRU`.
    missing : "nan", optional
        Whether NaN in y is a missing value, which neither the loss nor `score` counts.  Default:
        NaN raises.
    COMMON
    ATTRIBUTES
    """

    loss: LossName = "mse"
    loss_options: Mapping[str, Any] | None = None
    missing: Missing | None = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> RNNRegressor:
        """Train for one epoch, where the last call stopped.

        The state of the optimizer goes on, except in a copy or a pickle.  The step size is
        constant.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError, DivergedError
            As `fit`.
        """
        return self._learn_once(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values of N sequences, (N,) or (N, O) float64."""
        return self._apply("predict", X).astype(np.float64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, for several outputs the mean of theirs, over the targets that are there.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            An output has no targets.
        """
        if self.missing is None:
            return float(super().score(X, y, sample_weight))
        y, _ = self._targets(y)
        y, predicted = y.reshape(len(y), -1), self.predict(X).reshape(len(y), -1)
        weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        there = ~np.isnan(y)
        if not there.any(0).all():
            raise ValueError(f"y has no targets of output {there.any(0).argmin()}")
        return float(
            np.mean(
                [
                    r2_score(values[counts], found[counts], sample_weight=weights[counts])
                    for values, found, counts in zip(y.T, predicted.T, there.T, strict=True)
                ]
            )
        )

    def _targets(self, y: Any) -> tuple[np.ndarray, dict[str, Any]]:
        choice("loss", self.loss, [name for name, loss in LOSSES.items() if not loss.classifies])
        finite = True if missing_word("missing", self.missing) is None else "allow-nan"
        y = check_array(
            y, ensure_2d=False, ensure_all_finite=finite, input_name="y", estimator=self
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return y, {"output_size": 1 if y.ndim == 1 else y.shape[1]}
