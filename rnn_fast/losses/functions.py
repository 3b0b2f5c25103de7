"""What logits mean under each loss: probabilities, labels, mean loss, accuracy, R2.

Logits are (..., O).  Targets are (N, O), for cross entropy (N, 1) class indices, of N sequences or
of all their steps.  The formulas are those of the compiled `losses`, for use outside of training.
"""

from __future__ import annotations

import math

import numpy as np


def activation(loss: str, logits: np.ndarray) -> np.ndarray:
    """Turn logits into outputs: sigmoid for bce, softmax for cross_entropy, else identity.

    No overflow and no loss of accuracy anywhere in the range; NaN passes through.
    """
    with np.errstate(under="ignore"):
        if loss == "bce":
            e = np.exp(-np.abs(logits))
            return np.where(logits >= 0, 1, e) / (1 + e)
        if loss == "cross_entropy":
            e = np.exp(logits - logits.max(axis=-1, keepdims=True))
            return e / e.sum(axis=-1, keepdims=True)
        return logits


def sigmoid(z: float) -> float:
    """`activation` for bce of one number, ten times faster than by array arithmetic."""
    e = math.exp(-abs(z))
    return (1.0 if z >= 0 else e) / (1.0 + e)


def labels(loss: str, logits: np.ndarray) -> np.ndarray:
    """Predicted labels, int64: for bce 0 or 1 of each output (..., O), else the class (...)."""
    if loss == "bce":
        return (logits > 0).astype(np.int64)
    return logits.argmax(axis=-1).astype(np.int64, copy=False)


def losses(loss: str, logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Loss of each of N, (N,) float64: the mean over its outputs, but for cross_entropy.

    bce: ``max(z, 0) - z y + log(1 + exp(-|z|))``; cross_entropy: ``log(sum exp(z)) - z_y``; with
    e = z - y, mse: ``e**2``; mae: ``|e|``; huber: ``e**2 / 2`` up to ``|e| = 1``, ``|e| - 1/2``
    beyond.
    """
    z = logits.astype(np.float64)
    if loss == "cross_entropy":
        z -= z.max(axis=1, keepdims=True)
        chosen = np.take_along_axis(z, y.astype(np.intp), axis=1)[:, 0]
        return np.log(np.exp(z).sum(axis=1)) - chosen
    if loss == "bce":
        each = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
    elif loss == "mse":
        each = np.square(z - y)
    else:
        each = np.abs(z - y)
        if loss == "huber":
            inner = np.minimum(each, 1.0)
            each = inner * (each - inner / 2)
    return each.mean(axis=1)


def right(loss: str, logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether all labels of each of N are right, (N,); of values their mean squared error.

    A target of bce above 1/2 counts as 1.
    """
    if loss == "bce":
        return (labels(loss, logits) == (y > 0.5)).all(axis=1)
    if loss == "cross_entropy":
        return labels(loss, logits) == y[:, 0]
    return np.square(logits.astype(float) - y).mean(axis=1)
