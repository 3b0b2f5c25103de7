"""What logits mean under each loss: probabilities, labels, mean loss, hits.

Logits are (N, O).  Targets are (N, O), for cross entropy (N, 1) class indices.  The formulas are
those of the compiled `losses`, for use outside of training.
"""

from __future__ import annotations

import math

import numpy as np


def activation(loss: str, logits: np.ndarray) -> np.ndarray:
    """Turn logits into outputs: sigmoid for bce, softmax for cross_entropy, identity for mse.

    No overflow and no loss of accuracy anywhere in the range; NaN passes through.
    """
    with np.errstate(under="ignore"):
        if loss == "bce":
            e = np.exp(-np.abs(logits))
            return np.where(logits >= 0, 1, e) / (1 + e)
        if loss == "cross_entropy":
            e = np.exp(logits - logits.max(axis=1, keepdims=True))
            return e / e.sum(axis=1, keepdims=True)
        return logits


def sigmoid(z: float) -> float:
    """`activation` for bce of one number, ten times faster than by array arithmetic."""
    e = math.exp(-abs(z))
    return (1.0 if z >= 0 else e) / (1.0 + e)


def labels(loss: str, logits: np.ndarray) -> np.ndarray:
    """Predicted labels, int64: for bce 0 or 1 of each output (N, O), else the class (N,)."""
    if loss == "bce":
        return (logits > 0).astype(np.int64)
    return logits.argmax(axis=1).astype(np.int64, copy=False)


def measures(loss: str, logits: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Mean ``loss`` and, except for mse, ``accuracy``."""
    values = {"loss": mean_loss(loss, logits, y)}
    if loss != "mse":
        values["accuracy"] = accuracy(loss, logits, y)
    return values


def mean_loss(loss: str, logits: np.ndarray, y: np.ndarray) -> float:
    """Mean over the samples, and over the outputs for bce and mse; summed in float64.

    bce: ``max(z, 0) - z y + log(1 + exp(-|z|))``; cross_entropy: ``log(sum exp(z)) - z_y``;
    mse: ``(z - y)**2``.
    """
    z = logits.astype(np.float64)
    with np.errstate(under="ignore"):
        if loss == "bce":
            return float(np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))))
        if loss == "cross_entropy":
            z -= z.max(axis=1, keepdims=True)
            chosen = np.take_along_axis(z, y.astype(np.intp), axis=1)[:, 0]
            return float(np.mean(np.log(np.exp(z).sum(axis=1)) - chosen))
        return float(np.mean(np.square(z - y)))


def accuracy(loss: str, logits: np.ndarray, y: np.ndarray) -> float:
    """Share of the samples whose labels are all right; a target of bce above 1/2 counts as 1."""
    truth = y > 0.5 if loss == "bce" else y[:, 0]
    right = labels(loss, logits) == truth
    return float(np.mean(right.all(axis=1) if loss == "bce" else right))
