"""What logits mean under each loss: probabilities, labels, mean loss, accuracy, R2.

Logits are (..., O).  Targets are (N, O), for cross entropy (N, 1) class indices, of N sequences or
of all their steps.  The formulas are those of the compiled `losses`, for use outside of training.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

CLASSIFIES = ("bce", "cross_entropy")  #: losses whose models tell classes apart


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


def names(loss: str) -> tuple[str, ...]:
    """What is measured under a loss: with it accuracy, or of values mean squared error and R2."""
    return ("loss", "accuracy") if loss in CLASSIFIES else ("loss", "mse", "r2")


class Spread:
    """Weight, mean and squared deviations of targets (N, O), to which more may be added.

    The updates are those of Chan, Golub and LeVeque (1983), which do not cancel.
    """

    def __init__(self, weight: float = 0.0, mean: Any = 0.0, squares: Any = 0.0):
        self.weight = weight
        self.mean, self.squares = np.asarray(mean, float), np.asarray(squares, float)  # (O,)

    @classmethod
    def of(cls, y: np.ndarray, weights: np.ndarray | None = None) -> Spread:
        """That of y (N, O), weighted by (N,)."""
        if weights is not None:
            y, weights = y[weights > 0], weights[weights > 0].astype(float)
        if not len(y):
            return cls()
        weight = float(len(y) if weights is None else weights.sum())
        mean = np.average(y, axis=0, weights=weights).astype(float)
        squares = np.square(y - mean)
        return cls(weight, mean, squares.sum(0) if weights is None else weights @ squares)

    def __add__(self, other: Spread) -> Spread:
        weight = self.weight + other.weight
        if not self.weight or not other.weight:
            return self if self.weight else other
        share, apart = other.weight / weight, other.mean - self.mean
        squares = self.squares + other.squares + self.weight * share * apart**2
        return Spread(weight, self.mean + share * apart, squares)

    def r2(self, mse: float) -> float:
        """``1 - (sum of squared errors) / (sum of squared deviations from the mean)``.

        Both are over all outputs.  NaN where the targets are all the same.
        """
        total = float(self.squares.sum())
        if not total > 0:
            return math.nan
        return 1 - mse * self.weight * self.squares.size / total

    def record(self) -> list[Any]:
        """The arguments that make it, in terms of JSON."""
        return [self.weight, self.mean.tolist(), self.squares.tolist()]


class Measures:
    """Sums of what is measured, to which more sequences may be added."""

    def __init__(self, loss: str) -> None:
        self.loss, self.spread = loss, Spread()
        self.weight, self.losses, self.hits = 0.0, 0.0, 0.0

    def add(self, logits: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Add N outputs, (N, O); weights (N,)."""
        with np.errstate(under="ignore"):
            each = losses(self.loss, logits, y), right(self.loss, logits, y)
            if weights is None:
                self.weight += len(y)
                self.losses, self.hits = self.losses + each[0].sum(), self.hits + each[1].sum()
            else:
                counts = weights > 0  # where it does not count there may be anything
                own = weights[counts].astype(float)
                self.weight += float(own.sum())
                self.losses += own @ each[0][counts]
                self.hits += own @ each[1][counts]
            if self.loss not in CLASSIFIES:
                self.spread += Spread.of(y, weights)

    def means(self) -> dict[str, float]:
        """What `names` says; NaN where all weights are 0."""
        if not self.weight:
            return dict.fromkeys(names(self.loss), math.nan)
        loss, hits = float(self.losses / self.weight), float(self.hits / self.weight)
        values = (loss, hits) if self.loss in CLASSIFIES else (loss, hits, self.spread.r2(hits))
        return dict(zip(names(self.loss), values, strict=True))


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
