"""The workloads on which rnn_fast and its peers meet, and the data they get."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from . import Params

LEARNING_RATE = 0.01


@dataclass(frozen=True)
class Row:
    """One workload: batch size, steps, features, hidden units, and the precision."""

    B: int
    T: int
    I: int
    H: int
    dtype: str = "float32"

    @property
    def flop(self) -> int:
        """Of one update: each product once forward and twice backward."""
        return 6 * self.B * self.T * self.H * (self.I + self.H)

    @property
    def updates(self) -> int:
        """In an epoch: enough that what is done once an epoch hardly counts."""
        return 1000 if self.B == 1 else min(128, max(4, math.ceil(1e9 / self.flop)))


ROWS = {
    "tutorial": Row(1, 10, 1, 32),
    "h64b32": Row(32, 50, 8, 64),
    "h64b256": Row(256, 50, 8, 64),
    "h128b256": Row(256, 100, 8, 128),
    "h256b128": Row(128, 100, 32, 256),
    "h32b32": Row(32, 50, 8, 32),
    "h32b256": Row(256, 50, 8, 32),
    "neuro": Row(50, 200, 2, 50),
    "h10b256": Row(256, 50, 8, 10),
    "h5b256": Row(256, 50, 8, 5),
    "h64b7": Row(7, 50, 8, 64),
}
for _name in ("h64b32", "h64b256", "h128b256", "h256b128", "h32b32", "h32b256"):
    ROWS[f"{_name}-f64"] = replace(ROWS[_name], dtype="float64")


@dataclass(frozen=True)
class Problem:
    """What all start from: parameters by name, x (K, B, T, I), y (K, B, 1)."""

    row: Row
    params: Params
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def draw(cls, row: Row) -> Problem:
        """Draw the tutorial's task: standard-normal steps, labelled by the sign of their sum."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((row.updates, row.B, row.T, row.I)).astype(row.dtype)
        y = (x.sum(axis=(2, 3)) > 0).astype(row.dtype)[..., None]
        shapes: dict[str, tuple[int, ...]] = {
            "Wxh": (row.H, row.I),
            "Whh": (row.H, row.H),
            "bh": (row.H,),
            "Why": (1, row.H),
            "by": (1,),
        }
        params = {
            name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(row.dtype)
            for name, shape in shapes.items()
        }
        return cls(row, params, x, y)
