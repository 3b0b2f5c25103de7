"""The losses of some samples in NumPy, for measures where nothing compiles.

Each takes logits z (n, O), targets y (n, Y) and the numbers of the loss's options, and returns the
loss and the hit of each sample, (n,) each; see the compiled maths of the same names in `maths`.  O
are all outputs, or the logits of one value: if a value has several, or if some are missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Array = np.ndarray
#: ``formula(logits, targets, options)`` returns losses and hits
Formula = Callable[[Array, Array, tuple[float, ...]], tuple[Array, Array]]

#: least scale of `gaussian`: without one, a target that is met exactly has an infinite density
FLOOR = 1e-3


def binary_cross_entropy(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """Mean of max(z, 0) - z y + log1p(exp(-|z|)); right: all labels are."""
    value = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
    return value.mean(1), ((z > 0) == (y > 0.5)).all(1)


def cross_entropy(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """log(sum exp(z)) - z_label; right: the label's logit is the largest."""
    top, label = z.max(1), y[:, 0].astype(np.int64)
    chosen = np.take_along_axis(z, label[:, None], 1)[:, 0]
    value = np.log(np.exp(z - top[:, None]).sum(1)) + (top - chosen)
    return value, z.argmax(1) == label


def _of_errors(value: Array, e: Array) -> tuple[Array, Array]:
    return value.mean(1), np.square(e).mean(1)


def squared_error(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """Mean of e**2, with e = z - y."""
    return _of_errors(np.square(z - y), z - y)


def huber(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """Mean of e**2 / 2 up to |e| = 1, |e| - 1/2 beyond."""
    e = z - y
    de = np.clip(e, -1, 1)
    return _of_errors(de * (e - de * 0.5), e)


def absolute_error(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """Mean of |e|."""
    return _of_errors(np.abs(z - y), z - y)


def poisson(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """Mean of exp(z) - z y; the errors are those of the rates."""
    rate = np.exp(z)
    return _of_errors(rate - z * y, rate - y)


def quantile(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """Mean over levels q of (1 - q) e above the target, -q e below."""
    e, q = z - y, np.array(options, z.dtype)
    return _of_errors(np.where(e > 0, 1 - q, -q) * e, e)


def gaussian(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """log s + u**2 / 2 + log(2 pi) / 2 with u = (m - y) / s, s = FLOOR + exp(r)."""
    e = z[:, 0] - y[:, 0]
    log_s = np.logaddexp(math.log(FLOOR), z[:, 1]).astype(z.dtype, copy=False)
    u = e * np.exp(-log_s)
    return log_s + (u * u * 0.5 + math.log(2 * math.pi) / 2), e * e


def inner_product(z: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Array]:
    """Sum of z y; no hits: there is nothing to compare."""
    return (z * y).sum(1), np.zeros(len(z), z.dtype)


def measured(
    formula: Formula,
    z: Array,
    y: Array,
    options: tuple[float, ...],
    *,
    height: int,
    skips: bool,
    labels: bool,
) -> tuple[Array, Array]:
    """Return loss and hit of each sample, (n,), the means over its values that are not missing.

    Parameters
    ----------
    formula : callable
    z, y : (n, O) and (n, Y) arrays
    options : tuple of float
        Of the loss.
    height : int
        Logits that one call of the formula takes: all, or the logits of a value.
    skips : bool
        Whether a target that is NaN does not count.
    labels : bool
        Whether a sample is right if all its labels are.
    """
    with np.errstate(all="ignore"):  # as compiled code
        n_values = z.shape[1] // height
        if n_values == 1 and not skips:
            return formula(z, y, options)
        losses, hits, n = (np.zeros(len(z), z.dtype) for _ in range(3))
        for v in range(n_values):
            own = y[:, v : v + 1]
            counts = ~np.isnan(own[:, 0]) if skips else np.ones(len(z), bool)
            value, hit = formula(z[:, v * height : (v + 1) * height], own, options)
            losses += np.where(counts, value, 0)
            hits += np.where(counts, hit, 0)
            n += counts
        n = np.maximum(n, 1)
        losses, hits = losses / n, hits / n
        return losses, np.where(hits < 1, 0, hits) if labels else hits
