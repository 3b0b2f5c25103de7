"""What a cell is to compiled code, what it is given, and what gates share."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types

from ...jit import kernel
from ...simd import load, marker, marker_type, store, width
from ...simd.vector_math import sigmoid
from ..specs.cell import CELLS as NAMES


class Cell:
    """A cell as a value that kernels hand on: one of `layout.CELLS`."""

    def __init__(self, name: str):
        self.name = name


class CellType(types.Type):
    """Numba's type of a `Cell`."""

    def __init__(self, cell: Cell):
        self.cell = cell.name
        super().__init__(f"Cell({cell.name})")


marker(Cell, CellType)
marker_type(CellType)

CELLS = {name: Cell(name) for name in NAMES}


class Step(NamedTuple):
    """Pointers to the numbers of one step; each row has `n` of them."""

    n: Any
    a: Any  # pre-activations; a cell leaves there what it needs on the way back
    h_prev: Any
    h: Any
    c_prev: Any  # of the LSTM only
    c: Any
    peepholes: Any  # (3, n)


class Gradients(NamedTuple):
    """Pointers to the loss gradients of one step."""

    da: Any  # written
    dh: Any  # by h_t; a cell that hands part of it on to h_{t-1} leaves that there
    dc: Any  # by c_t, replaced by that by c_{t-1}
    dpeepholes: Any  # added to
    dr: Any  # by r h_{t-1}, of the GRU that resets before the product


@kernel
def sigmoid_of(p, n):
    """p = sigmoid(p), n numbers."""
    for j in range(0, n, width(p)):
        store(p + j, sigmoid(load(p + j)))
