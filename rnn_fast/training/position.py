"""The place of a training within an epoch, between two updates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import operations


class Position:
    """Where in an epoch a training is, between two updates.

    Attributes
    ----------
    began : dict
        State of the generator before the epoch's draws.
    batches : int
        That have been worked on.
    sequences : int
        In them.
    seconds : float
        They took.
    rate : float
        Learning rate of the last of them.
    result : (RESULTS,) float64 array
        What the epoch has summed up.
    """

    def __init__(self, began: dict[str, Any]):
        self.began = began
        self.batches, self.sequences, self.seconds, self.rate = 0, 0, 0.0, 0.0
        self.result = np.zeros(operations.RESULTS)

    def record(self) -> dict[str, Any]:
        """All of it in terms of JSON."""
        return {**vars(self), "result": self.result.tolist()}

    @classmethod
    def restored(cls, record: dict[str, Any]) -> Position:
        """The reverse of `record`."""
        own = cls(record["began"])
        vars(own).update({**record, "result": np.array(record["result"])})
        return own
