"""The place of a training within an epoch, between two updates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import operations


class Position:
    """Place of a training within an epoch, between two updates.

    Attributes
    ----------
    began : dict
        State of the generator before the epoch's draws.
    batches : int
        Batches done.
    sequences : int
        Sequences in these batches.
    seconds : float
        Time they took.
    rate : float
        Learning rate of the last batch.
    result : (RESULTS,) float64 array
        Sums of the epoch so far.
    """

    def __init__(self, began: dict[str, Any]):
        self.began = began
        self.batches, self.sequences, self.seconds, self.rate = 0, 0, 0.0, 0.0
        self.result = np.zeros(operations.RESULTS)

    def record(self) -> dict[str, Any]:
        """Return the position in terms of JSON."""
        return {**vars(self), "result": self.result.tolist()}

    @classmethod
    def restored(cls, record: dict[str, Any]) -> Position:
        """Make the position of a `record`."""
        own = cls(record["began"])
        vars(own).update({**record, "result": np.array(record["result"])})
        return own
