"""Stopping early, with the best parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import validation


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
        validation.whole("patience", self.patience)
        validation.rate("min_delta", self.min_delta)
        validation.flag("restore_best", self.restore_best)


def chosen_stopping(value: Any) -> EarlyStopping | None:
    """Return `value` as a rule; a number stands for its patience, None for no rule.

    Raises
    ------
    TypeError, ValueError
        `value` is none of these.
    """
    if value is None or isinstance(value, EarlyStopping):
        return value
    return EarlyStopping(validation.whole("early_stopping", value))


class Watch:
    """State of an `EarlyStopping`.

    Attributes
    ----------
    best : float
        The least loss so far.
    parameters : ndarray or None
        Parameters after that epoch, if they will be restored.
    waited : int
        Epochs since then.
    """

    def __init__(self, rule: EarlyStopping | None):
        self.rule, self.best, self.waited = rule, math.inf, 0
        self.parameters: np.ndarray | None = None

    def see(self, loss: float, parameters: np.ndarray) -> bool:
        """Note an epoch; return whether it is time to stop."""
        if self.rule is None:
            return False
        if loss < self.best - self.rule.min_delta:
            self.best, self.waited = loss, 0
            if self.rule.restore_best:
                self.parameters = parameters.copy()
            return False
        self.waited += 1
        return self.waited >= self.rule.patience

    def record(self) -> dict[str, Any]:
        """Return the state without the parameters, in terms of JSON."""
        return {"best": self.best, "waited": self.waited}

    @contextmanager
    def restoring(self, parameters: np.ndarray) -> Iterator[None]:
        """Write the best parameters at the end of the block, if they are kept."""
        try:
            yield
        finally:
            if self.parameters is not None:
                parameters[:] = self.parameters
