"""The LSTM, gates i f g o, with or without peepholes; equations in `cells.kernels.lstm`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..maths import sigmoid, tanh
from ..point import Point
from .cell import CELLS, Cell, Row, Vector


def forward(point: Point) -> Any:
    """Rows i, f, g, o and tanh(c_t), and h_t and c_t; see `cells.kernels.lstm`."""
    a_i, a_f, a_g, a_o, _ = point.a
    if point.vectors:
        p_i, p_f, p_o = point.vectors
        a_i, a_f = a_i + p_i * point.c_prev, a_f + p_f * point.c_prev
    i, f, g = sigmoid(a_i), sigmoid(a_f), tanh(a_g)
    c = f * point.c_prev + i * g
    o = sigmoid(a_o + p_o * c if point.vectors else a_o)
    tanh_c = tanh(c)
    return (i, f, g, o, tanh_c), o * tanh_c, c


LSTM = Cell(
    name="lstm",
    kernels="rnn_fast.cells.kernels.lstm",
    gates=("i", "f", "g", "o"),
    rows=(*(Row(gate, gate) for gate in "ifgo"), Row("tanh_c")),
    has_memory=True,
    plain=(("forward", forward),),
)
CELLS.add(LSTM)
CELLS.add(replace(LSTM, name="lstm_peephole", vectors=(Vector("peephole", 3),)))  # of i, f, o
