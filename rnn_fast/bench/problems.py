"""Data and initial parameters of a row, the same for all contenders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rows import Row

LEARNING_RATE = 0.01

Params = dict[str, np.ndarray]
Runner = Callable[[], Mapping[str, Any]]
"""Train for one more epoch, block until it is done, and return the parameters."""


def weights(params: Params, layer: int) -> Params:
    """Return the parameters of one layer, by their names in the first layer."""
    end = f"_l{layer}" if layer else ""
    return {k: params[k + end] for k in ("Wxh", "Whh", "bh", "bhn") if k + end in params}


def recurrent_bias(xp: Any, row: Row, w: Params) -> Any:
    """Return the bias of ``Whh h_{t-1}``: zeros and then bhn for a GRU, else 0."""
    return xp.concatenate([xp.zeros_like(w["bh"][: 2 * row.H]), w["bhn"]]) if "bhn" in w else 0


def drawn(row: Row, rng: np.random.Generator) -> Params:
    """Draw the initial parameters of a row."""
    GH = row.gates * row.H
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(row.layers):
        end, I = (f"_l{layer}", row.H) if layer else ("", row.I)
        shapes |= {f"Wxh{end}": (GH, I), f"Whh{end}": (GH, row.H), f"bh{end}": (GH,)}
        shapes |= {f"bhn{end}": (row.H,)} if row.cell == "gru" else {}
    shapes |= {"Why": (1, row.H), "by": (1,)}
    return {
        name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(row.dtype)
        for name, shape in shapes.items()
    }


@dataclass(frozen=True)
class Problem:
    """Parameters by name, inputs x (K, B, T, I), and targets y (K, B, 1) or (K, B, T, 1)."""

    row: Row
    params: Params
    x: np.ndarray
    y: np.ndarray

    @property
    def updates(self) -> int:
        """Number of updates in an epoch, K."""
        return len(self.x)

    @classmethod
    def draw(cls, row: Row, quick: bool = False) -> Problem:
        """Draw the tutorial's task: standard-normal steps, labelled by the sign of their sum.

        With an output after every step, each label is the sign of the sum up to this step.
        """
        rng = np.random.default_rng(0)
        x = rng.standard_normal((row.updates(quick), row.B, row.T, row.I)).astype(row.dtype)
        sums = x.sum(axis=3).cumsum(axis=2)
        y = ((sums if row.sequences else sums[..., -1]) > 0).astype(row.dtype)[..., None]
        return cls(row, drawn(row, rng), x, y)
