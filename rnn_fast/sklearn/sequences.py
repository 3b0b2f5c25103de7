"""Sequences as the users of scikit-learn, aeon and sktime have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from ..data.arrays import real, refuse_masks
from ..data.sequences import is_list
from ..validation import choice, flag


def read(estimator: BaseEstimator, X: Any, reset: bool) -> Any:
    """Return sequences as a model takes them, in the order samples, steps, features.

    Parameters
    ----------
    estimator : BaseEstimator
        Its `layout`, `embedding_size` and `check_finite` say how X is read.
    X : array-like or list
        (N, T, I), or (N, I, T) by `layout`; (N, T) for univariate series; a list of (T_i, I), or
        (I, T_i), or (T_i,), also as an array of objects.  With an embedding integers (N, T), or a
        list of (T_i,).
    reset : bool
        Whether to set `n_features_in_` and `feature_names_in_`; otherwise they are checked.

    Returns
    -------
    ndarray (N, T, I) or list of (T_i, I), with an embedding (N, T) or list of (T_i,)

    Raises
    ------
    TypeError, ValueError
        X is none of these, is masked or not finite, or does not fit what was learned.
    """
    swapped = choice("layout", estimator.layout, ("NTI", "NIT")) == "NIT"
    embeds = estimator.embedding_size is not None
    finite = flag("check_finite", estimator.check_finite)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = X.tolist()
    if is_list(X):
        validate_data(estimator, X, reset=reset, skip_check_array=True, ensure_2d=False)
        sequences = [real(f"X[{i}]", x) for i, x in enumerate(X)]
        if not embeds:
            sequences = [_steps_first(x, swapped) for x in sequences]
        if reset:
            estimator.n_features_in_ = 1 if embeds else count_features(sequences)
        return sequences
    refuse_masks("X", X)
    checks = {"dtype": "numeric", "allow_nd": True, "ensure_all_finite": finite}
    array = check_array(X, input_name="X", estimator=estimator, **checks)
    if array.ndim != 2 and (embeds or array.ndim != 3):
        forms = "(N, T), indices for the embedding" if embeds else f"(N, T) or {estimator.layout}"
        raise ValueError(f"X must have shape {forms}; got {array.shape}")
    is_table = array.ndim == 2
    validate_data(estimator, X, reset=reset, skip_check_array=True, ensure_2d=is_table)
    if is_table:
        return array if embeds else array[:, :, None]
    array = array.swapaxes(1, 2) if swapped else array
    if reset:
        estimator.n_features_in_ = count_features(array)
    return array


def count_features(sequences: Any) -> int:
    """Return the length of the last axis of sequences that `read` returned."""
    return int(np.atleast_1d(sequences[0]).shape[-1])


def _steps_first(sequence: np.ndarray, swapped: bool) -> np.ndarray:
    """Return a sequence of a list as (T, I); other shapes are for the model to refuse."""
    if sequence.ndim == 1:
        return sequence[:, None]
    return sequence.swapaxes(0, 1) if swapped and sequence.ndim == 2 else sequence
