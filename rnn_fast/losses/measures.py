"""Loss, accuracy, mean squared error and R2 of data that come in parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .loss import LOSSES, Loss


def quiet() -> np.errstate:
    """Let numbers beyond float64 become infinite or NaN without a warning."""
    return np.errstate(over="ignore", under="ignore", invalid="ignore")


class Spread:
    """Weight, mean and squared deviations of targets (N, O), to which more may be added.

    Updated as by Chan, Golub and LeVeque (1983), whose sums do not cancel.
    """

    def __init__(self, weight: float = 0.0, mean: Any = 0.0, squares: Any = 0.0):
        self.weight = weight
        self.mean, self.squares = np.asarray(mean, float), np.asarray(squares, float)  # (O,)

    @classmethod
    def of(cls, y: np.ndarray, weights: np.ndarray | None = None) -> Spread:
        """Return the spread of y (N, O), weighted by (N,)."""
        y = y.astype(float)
        if weights is not None:
            y, weights = y[weights > 0], weights[weights > 0].astype(float)
        if not len(y):
            return cls()
        weight = float(len(y) if weights is None else weights.sum())
        with quiet():
            if weights is None:
                mean = np.add.reduce(y) / weight
                return cls(weight, mean, np.add.reduce(np.square(y - mean)))
            mean = np.average(y, axis=0, weights=weights)
            return cls(weight, mean, weights @ np.square(y - mean))

    def __add__(self, other: Spread) -> Spread:
        weight = self.weight + other.weight
        if not self.weight or not other.weight:
            return self if self.weight else other
        share = other.weight / weight
        with quiet():
            apart = other.mean - self.mean
            squares = self.squares + other.squares + self.weight * share * apart**2
            return Spread(weight, self.mean + share * apart, squares)

    def r2(self, mse: Any) -> Any:
        """``1 - (sum of squared errors) / (sum of squared deviations from the mean)``.

        Both are over all outputs.  NaN where the targets are all the same.
        """
        with quiet():
            total = float(self.squares.sum())
        if not total > 0:
            return math.nan
        return 1 - mse * self.weight * self.squares.size / total

    def record(self) -> list[Any]:
        """Return the arguments of the constructor, in terms of JSON."""
        return [self.weight, self.mean.tolist(), self.squares.tolist()]


NOTHING = Spread()


class Measures:
    """Sums of losses and hits, to which more sequences may be added."""

    def __init__(self, loss: str) -> None:
        self.loss, self.spread = LOSSES[loss], NOTHING
        self.weight, self.losses, self.hits = 0.0, 0.0, 0.0

    def add(self, sums: np.ndarray, spread: Spread) -> None:
        """Add some sequences: weighted losses, hits and weights, and the spread of the targets."""
        losses, hits, weight = sums.tolist()
        self.losses, self.hits = self.losses + losses, self.hits + hits
        self.weight, self.spread = self.weight + weight, self.spread + spread

    def means(self) -> dict[str, float]:
        """Return each of `Loss.measures`; NaN where all weights are 0."""
        if not self.weight:
            return dict.fromkeys(self.loss.measures, math.nan)
        return means_of(self.loss, self.losses, self.hits, self.weight, self.spread)


def means_of(loss: Loss, losses: Any, hits: Any, weight: Any, spread: Spread) -> dict[str, Any]:
    """Return each of `Loss.measures` from sums: numbers, or arrays of the same shape."""
    mean, right = losses / weight, hits / weight
    values = (mean, right) if loss.classifies else (mean, right, spread.r2(right))
    return dict(zip(loss.measures, values, strict=True))
