"""The simple (Elman) cell, ``h_t = f(Wx x_t + b + Wh h_{t-1})``.

Elman, Finding structure in time, Cognitive Science 14 (1990).
"""

from __future__ import annotations

from .cell import CELLS, Cell, Row

for name in ("tanh", "relu"):
    CELLS.add(
        Cell(
            name=name,
            kernels="rnn_fast.cells.kernels.simple",
            gates=("a",),
            rows=(Row("a", "a"),),
            keeps_rows=False,
            is_elementwise=True,
        )
    )
