"""The declaration of a cell."""

from __future__ import annotations

from typing import NamedTuple


class Cell(NamedTuple):
    """What the layout depends on of a cell; rows are counted in units of H."""

    gates: int  # G, rows of W
    rows: int  # of a_t: pre-activations, and what the cell keeps for the way back
    kept: bool  # whether a_t is needed on the way back
    grads: int  # rows of da_t
    states: int  # h, or h and c
    beside: int  # numbers per unit behind W: bhn, or peepholes
    passes: bool  # whether dh_{t-1} has a part that goes past the product


CELLS = {
    "tanh": Cell(1, 1, False, 1, 1, 0, False),
    "relu": Cell(1, 1, False, 1, 1, 0, False),
    "lstm": Cell(4, 5, True, 4, 2, 0, False),  # i f g o, tanh(c)
    "lstm_peephole": Cell(4, 5, True, 4, 2, 3, False),
    "gru": Cell(3, 4, True, 4, 1, 1, True),  # n's part of x, r, z, n's part of h
    "gru_before": Cell(3, 4, True, 3, 1, 0, True),  # r h_{t-1}; r, z, n
}
