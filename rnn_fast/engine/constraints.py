"""Constraints of the parameters in the layout of a driver."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..jit import Program
from ..layout.constraints import Bounds
from ..layout.descent import MOST_PARTS, PROJECTION, Projection
from ..layout.memory import aligned
from .workspace import addresses

CONSTRAINED = Program("rnn_fast.kernels.constraints", "constrained", job="integers")

#: part of a driver's parameters: place of each of its flat parameters, and numbers in it
Places = tuple[np.ndarray, int]


class Projections:
    """Constraints of each part of a driver's parameters, as its updates read them.

    Attributes
    ----------
    record : int64 array
        A `Projection` of each part.
    """

    def __init__(self, bounds: Bounds, parts: Sequence[Places]) -> None:
        self.record, self._alive = np.zeros(MOST_PARTS * PROJECTION, np.int64), []
        start = 0
        for k, (places, n) in enumerate(parts):
            fields = self._part(bounds, start, places, n)
            self._alive.append(fields)
            self.record[k * PROJECTION : (k + 1) * PROJECTION] = addresses(*fields)
            start += len(places)

    @staticmethod
    def _part(bounds: Bounds, start: int, places: np.ndarray, n: int) -> Projection:
        """Return the constraints of the part whose first flat parameter is `start`."""
        stop, dtype = start + len(places), bounds.lower.dtype
        lower, upper, kept = (aligned(n, dtype) for _ in range(3))
        lower[places], upper[places] = bounds.lower[start:stop], bounds.upper[start:stop]
        pairs = zip(bounds.rows, bounds.limits, strict=True)
        limited = [(row - start, limit) for row, limit in pairs if start <= row[0] < stop]
        rows = [places[row] for row, _ in limited]
        fields: dict[str, object] = {
            "n": n,
            "lower": lower,
            "upper": upper,
            "kept": kept,
            "places": np.concatenate([np.zeros(0, np.int64), *rows]),
            "ends": np.cumsum([len(row) for row in rows], dtype=np.int64),
            "limits": np.array([limit for _, limit in limited]),
            "n_rows": len(rows),
        }
        return Projection(**fields)  # type: ignore[arg-type]
