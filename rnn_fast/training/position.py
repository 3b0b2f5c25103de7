"""The place of a training between two updates.

A training may be left at any moment: by Ctrl-C, a handler of the program's own, an exception that
another thread sets.  So each step forward is a single store.  Within an epoch the compiled call
counts the batches in the memory in which it sums up losses: parameters, moments, sums and place
change together.  Between epochs a new `State` replaces the old one.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..engine import operations
from ..layout.batch_records import SUMS
from .early_stopping import Watch
from .rates import Plateau


class Position:
    """Place of a training within an epoch.

    Attributes
    ----------
    began : dict
        State of the generator before the epoch's draws; empty without a checkpoint.
    before : (P,) ndarray
        Parameters before the epoch.
    result : (RESULTS,) float64 array
        Sums of the epoch so far, with the number of batches done.
    rate : float
        Learning rate of the last batch.
    sequences : int
        Sequences in these batches.
    seconds : float
        Time they took.
    epoch : Epoch or None
        Measures of the batches done, after the last call.
    """

    def __init__(self, began: dict[str, Any], before: np.ndarray):
        self.began, self.before = began, before
        self.result = np.zeros(operations.RESULTS)
        self.rate, self.sequences = 0.0, 0
        self.epoch: operations.Epoch | None = None
        self.seconds = 1e-9  # not 0: an interrupt may come before the time is noted

    @property
    def batches(self) -> int:
        """Batches done."""
        return int(self.result[SUMS.batches])

    @property
    def is_finite(self) -> bool:
        """True if no batch had a loss that was NaN or infinite."""
        return math.isfinite(self.result[SUMS.loss])

    def mark_divergence(self) -> None:
        """Let `is_finite` be False."""
        self.result[SUMS.loss] = math.nan

    def record(self) -> dict[str, Any]:
        """Return the position without its arrays of parameters, in terms of JSON."""
        record = {name: getattr(self, name) for name in ("began", "rate", "sequences", "seconds")}
        return {**record, "result": self.result.tolist()}

    @classmethod
    def restored(cls, record: dict[str, Any], before: np.ndarray) -> Position:
        """Make the position of a `record`."""
        position = cls(record["began"], before)
        position.result[:] = record["result"]
        for name in ("rate", "sequences", "seconds"):
            setattr(position, name, record[name])
        return position


class Pending(NamedTuple):
    """Values to put back if an interrupt comes while the callbacks of an epoch run."""

    parameters: np.ndarray
    generator: dict[str, Any]  #: state


class State(NamedTuple):
    """State of a training, beside the parameters and the state of the optimizer."""

    epochs: int  #: finished ones
    plateau: Plateau
    watch: Watch
    rate: float  #: learning rate of the next epoch, before the factors of the schedule
    finished: bool  #: True if early stopping or a callback has ended the training
    pending: Pending | None  #: of the last epoch, until its callbacks have all returned
    position: Position | None  #: of an epoch that has begun
