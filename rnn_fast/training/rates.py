"""Learning rates of a training: the factors of its schedule, and the state of a plateau."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..layout.network import Network
from .history import History
from .monitor import LOSS, Monitor
from .schedules import ByEpoch, ReduceOnPlateau, WarmUp


def plateau_rule(schedule: Any) -> ReduceOnPlateau | None:
    """Return the `ReduceOnPlateau` of a schedule, also after a warm-up; None if it has none."""
    while isinstance(schedule, WarmUp):
        schedule = schedule.then
    return schedule if isinstance(schedule, ReduceOnPlateau) else None


class Rates:
    """Learning rates of the batches of a training, of some epochs in all."""

    def __init__(self, schedule: Any, epochs: int) -> None:
        self._schedule, self._epochs = schedule, epochs
        self._steady: tuple[int, float, Any] = 0, 1.0, None  # batches, rate, the rates

    def of(
        self, n: int, past: int, start: int, batches: int | None, rate: float, factor: float
    ) -> np.ndarray:
        """Return the rates of n batches of an epoch, (n,) float64; not to be written to.

        Parameters
        ----------
        n : int
        past : int
            Epochs before.
        start : int
            Batches of the epoch before.
        batches : int or None
            Batches of the epoch, if that is known.
        rate : float
            Learning rate of the epoch, before any factor.
        factor : float
            Of a `Plateau`.
        """
        if self._schedule.is_steady:
            if (n, rate * factor) != self._steady[:2]:
                self._steady = n, rate * factor, np.full(n, rate * factor)
            rates: np.ndarray = self._steady[2]
            return rates
        return rate * (self.factors(n, past, start, batches) * factor)

    @property
    def is_steady(self) -> bool:
        """True if all factors are 1, except the one of a `Plateau`."""
        steady: bool = self._schedule.is_steady
        return steady

    @property
    def asks(self) -> bool:
        """True if a function of the user's returns the factor of each epoch, in its turn."""
        schedule = self._schedule
        while isinstance(schedule, WarmUp):
            schedule = schedule.then
        return isinstance(schedule, ByEpoch)

    def factors(self, n: int, past: int, start: int, batches: int | None) -> np.ndarray:
        """Return the factors of n batches of an epoch, (n,) float64, as for `of`."""
        x, step = np.full(n, float(past)), 1.0
        if batches is not None:
            x, step = past + np.arange(start, start + n) / batches, 1 / batches
        factors: np.ndarray = self._schedule.factors(x, self._epochs, step)
        return factors


@dataclass(frozen=True)
class Plateau:
    """State of a `ReduceOnPlateau` after an epoch.

    Attributes
    ----------
    rule : ReduceOnPlateau or None
    monitor : Monitor
        The measure that is watched.
    factor : float
        Factor of the learning rate so far.
    best : float
        The least value so far, as `Monitor.last` returns it.
    waited : int
        Epochs since then.
    """

    rule: ReduceOnPlateau | None
    monitor: Monitor
    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    @classmethod
    def of(cls, schedule: Any, net: Network, validates: bool) -> Plateau:
        """Return the state before the first epoch of a schedule.

        Raises
        ------
        ValueError
            The training will not have the measure.
        """
        rule = plateau_rule(schedule)
        if rule is None:
            return LEVEL
        return cls(rule, Monitor.of("schedule", rule, net, validates))

    def after(self, history: History) -> Plateau:
        """Return the state after another epoch, the last of a history."""
        if self.rule is None:
            return self
        value = self.monitor.last(history)
        if value < self.best * (1 - self.monitor.sign * self.rule.threshold):
            return replace(self, best=value, waited=0)
        if self.waited < self.rule.patience:
            return replace(self, waited=self.waited + 1)
        return replace(self, factor=self.factor * self.rule.factor, waited=0)

    def record(self) -> dict[str, Any]:
        """Return the state in terms of JSON."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}


LEVEL = Plateau(None, LOSS)  #: of the other schedules
