"""Numba types: Vec, Tile, pointers to Vecs, and Shape, a tile's size in compiled code."""

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
    """A vector of `n` numbers, by default a whole register of them."""

    def __init__(self, dtype: types.Float, n: int | None = None):
        self.dtype, self.n = dtype, n or lanes(dtype)
        super().__init__(f"Vec({dtype}, {self.n})")


class Reals(types.CPointer):
    """A pointer to numbers that kernels read `vec` by `vec`.

    The vector is part of the type, so that a kernel compiled for one width is another function for
    the next.
    """

    def __init__(self, vec: Vec):
        super().__init__(vec.dtype)
        self.vec, self.name = vec, f"Reals({vec})"

    @property
    def key(self) -> Vec:
        """The identity of the type."""
        return self.vec


def vec_at(p: types.CPointer) -> Vec:
    """Return the Vec that kernels read at a pointer: a whole register, unless `Reals` says less."""
    return p.vec if isinstance(p, Reals) else Vec(p.dtype)


class Tile(types.Type):
    """`rows x vecs` vector registers."""

    def __init__(self, vec: Vec, rows: int, vecs: int):
        self.vec, self.rows, self.vecs = vec, rows, vecs
        super().__init__(f"Tile({vec}, {rows}, {vecs})")

    def cells(self):
        """(position in the LLVM array, row, vector) of every register."""
        return [(r * self.vecs + c, r, c) for r in range(self.rows) for c in range(self.vecs)]


class Shape:
    """The size of a tile, as a value that kernels hand on: ``Shape("float32", 4, 2)``.

    Its vectors have `n` numbers, by default a whole register of them.
    """

    def __init__(self, dtype: str, rows: int, vecs: int, n: int | None = None):
        self.dtype = {"float32": types.float32, "float64": types.float64}[dtype]
        self.vec = Vec(self.dtype, n)
        self.rows, self.vecs, self.lanes = rows, vecs, vecs * self.vec.n


class ShapeType(types.Type):
    """Numba's type of a `Shape`."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.tile = Tile(shape.vec, shape.rows, shape.vecs)
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


register_model(Reals)(models.PointerModel)


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
