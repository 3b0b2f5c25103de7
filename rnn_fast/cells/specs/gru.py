"""The GRU, gates r z n, which resets after the product or before it.

Equations in `cells.kernels.gru` and `cells.kernels.gru_before`.
"""

from __future__ import annotations

from typing import Any

from ..maths import sigmoid, tanh
from ..point import Point
from .cell import CELLS, Cell, Row, Vector


def forward(point: Point) -> Any:
    """Rows n, r, z and n's part of h, and h_t; see `cells.kernels.gru`."""
    n_x, a_r, a_z, n_h = point.a
    r, z = sigmoid(a_r), sigmoid(a_z)
    n = tanh(n_x + r * n_h)
    return (n, r, z, n_h), n + z * (point.h_prev - n)


def reset_before(point: Point) -> Any:
    """Rows r h_{t-1} and r; see `cells.kernels.gru_before`."""
    _, a_r, a_z, a_n = point.a
    r = sigmoid(a_r)
    return r * point.h_prev, r, a_z, a_n


def forward_before(point: Point) -> Any:
    """Rows r h_{t-1}, r, z, n, and h_t; see `cells.kernels.gru_before`."""
    rh, r, a_z, a_n = point.a
    z, n = sigmoid(a_z), tanh(a_n)
    return (rh, r, z, n), n + z * (point.h_prev - n)


CELLS.add(
    Cell(
        name="gru",
        kernels="rnn_fast.cells.kernels.gru",
        gates=("r", "z", "n"),
        rows=(  # the part of n that r does not scale, r, z, the part that r scales
            Row("n_x", "n", "x1"),
            Row("r", "r"),
            Row("z", "z"),
            Row("n_h", "n", "1h", bias="bhn"),
        ),
        vectors=(Vector("bhn"),),
        carries=True,
        plain=(("forward", forward),),
    )
)
CELLS.add(
    Cell(
        name="gru_before",
        kernels="rnn_fast.cells.kernels.gru_before",
        gates=("r", "z", "n"),
        rows=(Row("r h"), Row("r", "r"), Row("z", "z"), Row("n", "n", "x1", late="r h")),
        carries=True,
        plain=(("reset", reset_before), ("forward", forward_before)),
    )
)
