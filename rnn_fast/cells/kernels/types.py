"""Types that the cells' kernels share: the cell itself, and the pointers of one step."""

from __future__ import annotations

import functools
import importlib
from typing import Any, NamedTuple

from numba import types

from ...jit import kernel
from ...simd import load, marker, marker_type, store, width
from ...simd.vector_math import sigmoid
from ..specs import CELLS


class Marker:
    """A cell as a value that kernels hand on; `marker_of` makes it."""

    def __init__(self, name: str):
        self.spec = CELLS[name]


class CellType(types.Type):
    """Numba's type of a `Marker`."""

    def __init__(self, value: Marker):
        self.spec = value.spec
        super().__init__(f"Cell({self.spec.name})")

    def function(self, name: str) -> Any:
        """Look up a kernel of the cell's module."""
        return getattr(importlib.import_module(self.spec.kernels), name)


marker(Marker, CellType)
marker_type(CellType)
marker_of = functools.cache(Marker)


class Step(NamedTuple):
    """Pointers to the numbers of one step; each row has `n` of them."""

    n: Any
    a: Any  # (rows, n): pre-activations; the kernels leave there what the backward pass reads
    h_prev: Any
    h: Any
    c_prev: Any  # of a cell with memory
    c: Any
    vectors: Any  # (rows, n): vectors of the cell that no row takes as its bias
    options: Any  # doubles: the cell's options


class Gradients(NamedTuple):
    """Pointers to the gradients of the loss in one step."""

    da: Any  # (rows with a gate, n), written
    dh: Any  # with respect to h_t; a cell that carries leaves the part of dh_{t-1} there
    dc: Any  # with respect to c_t; replaced by the gradient with respect to c_{t-1}
    dvectors: Any  # (rows, n), added to
    dlate: Any  # with respect to the row that late products meet


@kernel
def sigmoid_of(p, n):
    """p = sigmoid(p), n numbers."""
    for j in range(0, n, width(p)):
        store(p + j, sigmoid(load(p + j)))
