"""The workloads on which rnn_fast and its peers meet, and the data they get."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import Params
from .cells import CELLS

LEARNING_RATE = 0.01


@dataclass(frozen=True)
class Row:
    """One workload: batch size, steps, features, hidden units, and what network it is."""

    B: int
    T: int
    I: int
    H: int
    dtype: str = "float32"
    cell: str = "rnn"
    layers: int = 1
    sequences: bool = False  # an output after every step

    @property
    def flop(self) -> int:
        """Of one update: each recurrent product once forward and twice backward."""
        G = CELLS[self.cell].gates
        inputs = self.layers * self.H + self.I + (self.layers - 1) * self.H
        return 6 * self.B * self.T * G * self.H * inputs

    @property
    def updates(self) -> int:
        """In an epoch: enough that what is done once an epoch hardly counts."""
        return 1000 if self.B == 1 else min(128, max(4, math.ceil(1e9 / self.flop)))

    def __str__(self) -> str:
        parts = f"{self.cell} B={self.B} T={self.T} I={self.I} H={self.H} {self.dtype}"
        parts += f" layers={self.layers}" if self.layers > 1 else ""
        return parts + (", an output after every step" if self.sequences else "")


ROWS = {
    "tutorial": Row(1, 10, 1, 32),
    # the sizes that people train
    "cognitive": Row(100, 150, 3, 2, cell="gru"),
    "hydrology": Row(256, 365, 5, 10, cell="lstm"),
    "audio": Row(50, 1000, 1, 16, cell="lstm", sequences=True),
    "neuro": Row(50, 200, 2, 50),
    "neuro-every": Row(50, 200, 2, 50, sequences=True),
    "control": Row(32, 64, 32, 64, cell="gru"),
    "finance": Row(800, 20, 20, 64, cell="lstm", layers=2),
    "wide-rnn": Row(256, 100, 8, 128),
    "wide-lstm": Row(128, 100, 32, 256, cell="lstm"),
    # a ladder of sizes
    "h5b256": Row(256, 50, 8, 5),
    "h10b256": Row(256, 50, 8, 10),
    "h32b32": Row(32, 50, 8, 32),
    "h32b256": Row(256, 50, 8, 32),
    "h64b7": Row(7, 50, 8, 64),
    "h64b32": Row(32, 50, 8, 64),
    "h64b256": Row(256, 50, 8, 64),
    "h256b128": Row(128, 100, 32, 256),
}
for _cell in ("gru", "lstm"):
    for _name in ("h32b32", "h32b256", "h64b32", "h64b256"):
        ROWS[f"{_cell}-{_name}"] = replace(ROWS[_name], cell=_cell)
for _name in ("h64b32", "h64b256", "wide-rnn", "h256b128", "h32b32", "h32b256"):
    ROWS[f"{_name}-f64"] = replace(ROWS[_name], dtype="float64")


def weights(params: Params, layer: int) -> Params:
    """Return the parameters of one layer, by their names in the lowest."""
    end = f"_l{layer}" if layer else ""
    return {k: params[k + end] for k in ("Wxh", "Whh", "bh", "bhn") if k + end in params}


def recurrent_bias(xp: Any, row: Row, w: Params) -> Any:
    """Return what is added to ``Whh h_{t-1}``: bhn below zeros, or nothing."""
    return xp.concatenate([xp.zeros_like(w["bh"][: 2 * row.H]), w["bhn"]]) if "bhn" in w else 0


@dataclass(frozen=True)
class Problem:
    """What all start from: parameters by name, x (K, B, T, I), y (K, B, 1) or (K, B, T, 1)."""

    row: Row
    params: Params
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def draw(cls, row: Row) -> Problem:
        """Draw the tutorial's task: standard-normal steps, labelled by the sign of their sum.

        With an output after every step, by that of the sum so far.
        """
        rng = np.random.default_rng(0)
        x = rng.standard_normal((row.updates, row.B, row.T, row.I)).astype(row.dtype)
        sums = x.sum(axis=3).cumsum(axis=2)
        y = ((sums if row.sequences else sums[..., -1]) > 0).astype(row.dtype)[..., None]
        GH = CELLS[row.cell].gates * row.H
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(row.layers):
            end, I = (f"_l{layer}", row.H) if layer else ("", row.I)
            shapes |= {f"Wxh{end}": (GH, I), f"Whh{end}": (GH, row.H), f"bh{end}": (GH,)}
            shapes |= {f"bhn{end}": (row.H,)} if row.cell == "gru" else {}
        shapes |= {"Why": (1, row.H), "by": (1,)}
        params = {
            name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(row.dtype)
            for name, shape in shapes.items()
        }
        return cls(row, params, x, y)
