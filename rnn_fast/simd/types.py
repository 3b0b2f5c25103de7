"""Numba types: Vec, Tile, and Shape, a tile's size in compiled code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_constant
from numba.extending import models, register_model, typeof_impl

from ..jit import vector_bytes


def lanes(dtype: types.Float) -> int:
    """Numbers of `dtype` in one vector register of the compile target."""
    return vector_bytes() * 8 // dtype.bitwidth


class Vec(types.Type):
    """One vector register."""

    def __init__(self, dtype: types.Float):
        self.dtype, self.n = dtype, lanes(dtype)
        super().__init__(f"Vec({dtype}, {self.n})")


class Tile(types.Type):
    """`rows x vecs` vector registers."""

    def __init__(self, vec: Vec, rows: int, vecs: int):
        self.vec, self.rows, self.vecs = vec, rows, vecs
        super().__init__(f"Tile({vec}, {rows}, {vecs})")

    def cells(self):
        """(position in the LLVM array, row, vector) of every register."""
        return [(r * self.vecs + c, r, c) for r in range(self.rows) for c in range(self.vecs)]


class Shape:
    """The size of a tile, as a value that kernels hand on: ``Shape("float32", 4, 2)``."""

    def __init__(self, dtype: str, rows: int, vecs: int):
        self.dtype = {"float32": types.float32, "float64": types.float64}[dtype]
        self.rows, self.vecs = rows, vecs
        self.lanes = vecs * lanes(self.dtype)


class ShapeType(types.Type):
    """Numba's type of a `Shape`."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.tile = Tile(Vec(shape.dtype), shape.rows, shape.vecs)
        super().__init__(f"Shape({self.tile})")


def marker(python_type: type, numba_type: Callable[[Any], types.Type]) -> None:
    """Let objects of `python_type` pass through kernels as types without a run-time value."""
    typeof_impl.register(python_type)(lambda value, context: numba_type(value))


def marker_type(numba_type: type) -> None:
    """Give a marker's Numba type an empty run-time value."""
    register_model(numba_type)(models.OpaqueModel)

    @lower_constant(numba_type)
    def constant(context, builder, ty, value):
        return context.get_dummy_value()


marker(Shape, ShapeType)
marker_type(ShapeType)


@register_model(Vec)
class VecModel(models.PrimitiveModel):
    """A Vec is an LLVM vector."""

    def __init__(self, dmm, ty):
        super().__init__(dmm, ty, ir.VectorType(dmm.lookup(ty.dtype).get_value_type(), ty.n))


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    """A Tile is an LLVM array of vectors."""

    def __init__(self, dmm, ty):
        vector = dmm.lookup(ty.vec).get_value_type()
        super().__init__(dmm, ty, ir.ArrayType(vector, ty.rows * ty.vecs))
