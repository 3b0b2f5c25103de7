"""The simple (Elman) cell, ``h_t = f(Wx x_t + b + Wh h_{t-1})``.

Elman, Finding structure in time, Cognitive Science 14 (1990).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from .. import maths
from ..point import Point
from .cell import CELLS, Cell, Row

Nonlinearity = Literal["tanh", "relu"]
NONLINEARITIES: tuple[Nonlinearity, ...] = get_args(Nonlinearity)
#: f by the last word of a cell's name
FUNCTIONS = {"tanh": maths.tanh, "relu": maths.relu}


def forward_of(name: str) -> Any:
    """Return the step of a simple cell with f `name`, for NumPy."""
    f = FUNCTIONS[name]

    def forward(point: Point) -> Any:
        return point.a, f(point.a[0])

    return forward


for name in NONLINEARITIES:
    CELLS.add(
        Cell(
            name=name,
            kernels="rnn_fast.cells.kernels.simple",
            gates=("a",),
            rows=(Row("a", "a"),),
            keeps_rows=False,
            is_elementwise=True,
            plain=(("forward", forward_of(name)),),
        )
    )
