"""The regression of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, column_or_1d

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
    COMMON
    ATTRIBUTES
    """

    loss: LossName = "mse"
    loss_options: Mapping[str, Any] | None = None

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

    def _targets(self, y: Any) -> tuple[np.ndarray, dict[str, Any]]:
        choice("loss", self.loss, [name for name, loss in LOSSES.items() if not loss.classifies])
        y = check_array(y, ensure_2d=False, input_name="y", estimator=self)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return y, {"output_size": 1 if y.ndim == 1 else y.shape[1]}
