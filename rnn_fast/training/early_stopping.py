"""Stopping early, with the best parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..validation import check_fields, flag, rate, whole


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the loss has not improved for `patience` epochs.

    The loss is measured on the validation data or, without them, in training.

    Parameters
    ----------
    patience : int
        At least 1.
    min_delta : float
        An improvement is a loss below ``best - min_delta``.
    restore_best : bool
        Whether the model ends with the parameters of its best epoch, however `fit` ends.
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        check_fields(self, patience=whole, min_delta=rate, restore_best=flag)


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
    best : float
        The least loss so far.
    waited : int
        Epochs since then.
    parameters : ndarray or None
        Parameters after that epoch, if they will be restored.
    """

    rule: EarlyStopping | None
    best: float = math.inf
    waited: int = 0
    parameters: np.ndarray | None = None

    @property
    def is_over(self) -> bool:
        """True if it is time to stop."""
        return self.rule is not None and self.waited >= self.rule.patience

    def after(self, loss: float, parameters: np.ndarray) -> Watch:
        """Return the state after another epoch."""
        if self.rule is None:
            return self
        if loss < self.best - self.rule.min_delta:
            return Watch(self.rule, loss, 0, parameters.copy() if self.rule.restore_best else None)
        return replace(self, waited=self.waited + 1)

    def record(self) -> dict[str, Any]:
        """Return the state without the parameters, in terms of JSON."""
        return {"best": self.best, "waited": self.waited}
