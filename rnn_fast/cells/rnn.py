"""The simple (Elman) cell, ``h_t = f(a_t)`` with ``a_t = Wxh x_t + bh + Whh h_{t-1}``.

Elman, Finding structure in time, Cognitive Science 14 (1990); equations as in PyTorch's RNN.
"""

from __future__ import annotations

from numba import types

from .._jit import overloads
from ..simd import Vec, flush, fma, marker, marker_type, where_less
from ..vmath import tanh


class Cell:
    """The cell as a value that kernels hand on; `nonlinearity` is "tanh" or "relu"."""

    def __init__(self, nonlinearity: str):
        self.nonlinearity = nonlinearity


class CellType(types.Type):
    """Numba's type of a `Cell`."""

    def __init__(self, cell: Cell):
        self.nonlinearity = cell.nonlinearity
        super().__init__(f"Cell({cell.nonlinearity})")


marker(Cell, CellType)
marker_type(CellType)

CELLS = {name: Cell(name) for name in ("tanh", "relu")}


def activate(cell, a):
    """h_t = f(a_t), on one Vec."""
    raise NotImplementedError


def activate_backward(cell, dh, h):
    """da_t = dh_t * f'(a_t), with f' expressed by h_t = f(a_t), on one Vec.

    Gradients too small to matter are flushed to zero: as denormals they would cost 8-15 times
    the arithmetic.
    """
    raise NotImplementedError


@overloads(activate)
def _activate(cell, a):
    if not (isinstance(cell, CellType) and isinstance(a, Vec)):
        return None
    if cell.nonlinearity == "tanh":
        return lambda cell, a: tanh(a)
    return lambda cell, a: where_less(a, 0.0, 0.0, a)  # NaN stays


@overloads(activate_backward)
def _activate_backward(cell, dh, h):
    if not (isinstance(cell, CellType) and isinstance(dh, Vec)):
        return None
    if cell.nonlinearity == "tanh":
        # h = tanh(a)
        return lambda cell, dh, h: flush(dh * fma(-1.0 * h, h, 1.0))
    # h = max(a, 0)
    return lambda cell, dh, h: flush(where_less(0.0, h, dh, 0.0))
