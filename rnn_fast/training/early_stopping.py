"""Stopping early, with the best parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..layout.network import Network
from ..validation import check_fields, flag, rate, whole
from .history import History
from .monitor import LOSS, Measure, Mode, Monitor, mode, monitor


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a measure has not improved for `patience` epochs.

    NaN is never better.

    Parameters
    ----------
    patience : int
        At least 1.
    min_delta : float
        An improvement is a value that is better than the best by more than `min_delta`: below
        ``best - min_delta``, or for a measure to be maximised above ``best + min_delta``.
    restore_best : bool
        Whether the model ends with the parameters of its best epoch, however `fit` ends.
    monitor : str or None
        A measure of the `History`: "loss", "accuracy", "mse", "r2", or one of the validation data
        such as "val_accuracy".  None: the loss, of the validation data if there are any.
    mode : {"auto", "min", "max"}
        Whether less or more is better.  "auto": as of the measure.
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True
    monitor: Measure | None = None
    mode: Mode = "auto"

    def __post_init__(self) -> None:
        check_fields(self, patience=whole, min_delta=rate, restore_best=flag)
        check_fields(self, monitor=monitor, mode=mode)


def chosen_stopping(value: Any) -> EarlyStopping | None:
    """Return `value` as a rule; a number stands for its patience, None for no rule.

    Raises
    ------
    TypeError, ValueError
        `value` is none of these.
    """
    if value is None or isinstance(value, EarlyStopping):
        return value
    return EarlyStopping(whole("early_stopping", value))


@dataclass(frozen=True)
class Watch:
    """State of an `EarlyStopping` after an epoch.

    Attributes
    ----------
    rule : EarlyStopping or None
    monitor : Monitor
        The measure that is watched.
    best : float
        The least value so far, as `Monitor.last` returns it.
    waited : int
        Epochs since then.
    parameters : ndarray or None
        Parameters after that epoch, if they will be restored.
    """

    rule: EarlyStopping | None
    monitor: Monitor
    best: float = math.inf
    waited: int = 0
    parameters: np.ndarray | None = None

    @classmethod
    def of(cls, rule: EarlyStopping | None, net: Network, validates: bool) -> Watch:
        """Return the state before the first epoch.

        Raises
        ------
        ValueError
            The training will not have the measure.
        """
        if rule is None:
            return UNWATCHED
        return cls(rule, Monitor.of("early_stopping", rule, net, validates))

    @property
    def is_over(self) -> bool:
        """True if it is time to stop."""
        return self.rule is not None and self.waited >= self.rule.patience

    def after(self, history: History, parameters: np.ndarray) -> Watch:
        """Return the state after another epoch, the last of a history."""
        if self.rule is None:
            return self
        value = self.monitor.last(history)
        if value < self.best - self.rule.min_delta:
            kept = parameters.copy() if self.rule.restore_best else None
            return replace(self, best=value, waited=0, parameters=kept)
        return replace(self, waited=self.waited + 1)

    def record(self) -> dict[str, Any]:
        """Return the state without the parameters, in terms of JSON."""
        return {"best": self.best, "waited": self.waited}


UNWATCHED = Watch(None, LOSS)
