"""Loss, accuracy, mean squared error and R2 of data that come in parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .loss import LOSSES, Loss

Array = np.ndarray


def quiet() -> np.errstate:
    """Let numbers beyond float64 become infinite or NaN without a warning."""
    return np.errstate(over="ignore", under="ignore", invalid="ignore")


class Spread:
    """Weight, mean and squared deviations of targets (N, O), to which more may be added.

    Updated as by Chan, Golub and LeVeque (1983), whose sums do not cancel.
    """

    def __init__(self, weight: Any = 0.0, mean: Any = 0.0, squares: Any = 0.0):
        # one for all outputs or, where targets are missing, (O,)
        self.weight = np.asarray(weight, float) if isinstance(weight, (list, Array)) else weight
        self.mean, self.squares = np.asarray(mean, float), np.asarray(squares, float)  # (O,)

    @classmethod
    def of(cls, y: np.ndarray, weights: np.ndarray | None = None, skips: bool = False) -> Spread:
        """Return the spread of y (N, O), weighted by (N,).

        skips : bool
            Whether NaN are missing values; a row's weight is then times its share of others.
        """
        y = y.astype(float)
        if weights is not None:
            y, weights = y[weights > 0], weights[weights > 0].astype(float)
        if not len(y):
            return cls()
        if skips and weights is not None:
            return cls._of_present(y, weights)
        weight = float(len(y) if weights is None else weights.sum())
        with quiet():
            if weights is None:
                mean = np.add.reduce(y) / weight
                return cls(weight, mean, np.add.reduce(np.square(y - mean)))
            mean = np.average(y, axis=0, weights=weights)
            return cls(weight, mean, weights @ np.square(y - mean))

    @classmethod
    def _of_present(cls, y: np.ndarray, weights: np.ndarray) -> Spread:
        there = ~np.isnan(y)
        each = there * (weights / there.mean(1))[:, None]
        y, weight = np.where(there, y, 0.0), each.sum(0)
        with quiet():
            mean = (each * y).sum(0) / _not_zero(weight)
            return cls(weight, mean, (each * np.square(y - mean)).sum(0))

    def __add__(self, other: Spread) -> Spread:
        weight = self.weight + other.weight
        if _is_zero(self.weight) or _is_zero(other.weight):
            return other if _is_zero(self.weight) else self
        share = other.weight / _not_zero(weight)
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
        if isinstance(self.weight, Array):
            return 1 - mse * self.weight.sum() / total
        return 1 - mse * self.weight * self.squares.size / total

    def record(self) -> list[Any]:
        """Return the arguments of the constructor, in terms of JSON."""
        weight = self.weight.tolist() if isinstance(self.weight, Array) else self.weight
        return [weight, self.mean.tolist(), self.squares.tolist()]


def _is_zero(weight: Any) -> bool:
    """Return whether all weights are 0; `numpy.any` of a float takes 4 us."""
    return not (weight.any() if isinstance(weight, Array) else weight)


def _not_zero(weight: Any) -> Any:
    """Return weights to divide by: 1 in place of 0."""
    return np.where(weight == 0, 1.0, weight) if isinstance(weight, Array) else weight


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
