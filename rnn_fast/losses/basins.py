"""Nash-Sutcliffe efficiency over many basins: weights to train with, and the measure.

One network for many basins that minimises the squared error learns the wettest ones.  Squared
errors over each basin's variance count alike: ``mse`` with a weight for each sequence does that.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def nse_weights(y: Any, basins: Any, eps: float = 0.1) -> np.ndarray:
    """Return weights of sequences for a loss that is proportional to 1 - NSE of each basin.

    ``1 / (s + eps)**2``, with the standard deviation s of a basin's targets (Kratzert et al., 2019,
    Hydrology and Earth System Sciences 23, 5089).  To be passed to `fit` as `sample_weight`, with
    loss "mse"; that loss is the weighted mean, so it is times the mean weight in the paper.

    Parameters
    ----------
    y : array-like (N, ...)
        Targets of the training, NaN where they are missing.
    basins : array-like (N,)
        Label of each sequence's basin.
    eps : float
        Least standard deviation, in the unit of `y`: for basins that are all but dry.

    Returns
    -------
    (N,) float64 array

    Raises
    ------
    ValueError
        The shapes do not fit, `eps` is not above 0, or a basin has no targets.
    """
    values, place, labels = _by_basin(y, basins)
    if not eps > 0:
        raise ValueError(f"eps must be above 0; got {eps}")
    deviations = np.array([np.nanstd(values[place == k]) for k in range(len(labels))])
    weights: np.ndarray = (1 / (deviations + eps) ** 2)[place]
    return weights


def nash_sutcliffe(y: Any, predicted: Any, basins: Any) -> dict[Any, float]:
    """Return the Nash-Sutcliffe efficiency of each basin (Nash and Sutcliffe, 1970).

    1 minus the sum of squared errors over the sum of squared deviations from the basin's mean, over
    all targets of its sequences that are not NaN.  NaN if they are all the same.

    Parameters
    ----------
    y, predicted : array-like (N, ...)
        Targets and predictions, in the same shape.
    basins : array-like (N,)
        Label of each sequence's basin.

    Raises
    ------
    ValueError
        The shapes do not fit, or a basin has no targets.
    """
    values, place, labels = _by_basin(y, basins)
    errors = values - np.asarray(predicted, float).reshape(values.shape)
    found = {}
    for k, label in enumerate(labels.tolist()):
        own = values[place == k]
        total = np.nansum((own - np.nanmean(own)) ** 2)
        found[label] = 1 - float(np.nansum(errors[place == k] ** 2) / total) if total else np.nan
    return found


def _by_basin(y: Any, basins: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets (N, n), the place of each sequence's label, and the labels."""
    values, given = np.asarray(y, float), np.asarray(basins)
    if values.ndim == 0 or given.shape != values.shape[:1]:
        raise ValueError(
            f"basins must have shape ({len(values) if values.ndim else 'N'},), a label for each "
            f"sequence of y; got {given.shape}"
        )
    labels, place = np.unique(given, return_inverse=True)
    values = values.reshape(len(values), -1)
    for k, label in enumerate(labels.tolist()):
        if np.isnan(values[place == k]).all():
            raise ValueError(f"y has no targets of basin {label!r}")
    return values, place, labels
