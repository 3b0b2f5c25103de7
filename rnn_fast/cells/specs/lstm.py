"""The LSTM, gates i f g o, with or without peepholes; equations in `cells.kernels.lstm`."""

from __future__ import annotations

from dataclasses import replace

from .cell import CELLS, Cell, Row, Vector

LSTM = Cell(
    name="lstm",
    kernels="rnn_fast.cells.kernels.lstm",
    gates=("i", "f", "g", "o"),
    rows=(*(Row(gate, gate) for gate in "ifgo"), Row("tanh_c")),
    has_memory=True,
)
CELLS.add(LSTM)
CELLS.add(replace(LSTM, name="lstm_peephole", vectors=(Vector("peephole", 3),)))  # of i, f, o
