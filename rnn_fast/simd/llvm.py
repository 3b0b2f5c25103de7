"""Pieces of LLVM that the operations share."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

INT32, INT64 = ir.IntType(32), ir.IntType(64)


def splat(builder, scalar, vector_type):
    """A vector with `scalar` in every lane."""
    undefined = ir.Constant(vector_type, ir.Undefined)
    first = builder.insert_element(undefined, scalar, INT32(0))
    zeros = ir.Constant(ir.VectorType(INT32, vector_type.count), None)
    return builder.shuffle_vector(first, undefined, zeros)


def call_llvm(builder, name, *args):
    """Call the LLVM intrinsic `name` on vectors of one type."""
    vt = args[0].type
    bits = 32 if isinstance(vt.element, ir.FloatType) else 64
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(vt, [vt] * len(args)),
        f"llvm.{name}.v{vt.count}f{bits}",
    )
    return builder.call(function, args)


def call_avx512(builder, name, *args):
    """Call the AVX-512 intrinsic `name`; the first of `args` has the type of the result."""
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(args[0].type, [each.type for each in args]),
        f"llvm.x86.avx512.{name}",
    )
    return builder.call(function, args)


def integers(vector_type):
    """The integer vector type of the same width, and its count of mantissa bits."""
    bits, mantissa = (32, 23) if isinstance(vector_type.element, ir.FloatType) else (64, 52)
    return ir.VectorType(ir.IntType(bits), vector_type.count), mantissa


def constant(vector_type, value):
    """`value` in every lane, at compile time."""
    return ir.Constant(vector_type, [value] * vector_type.count)


def address(builder, pointer, *terms):
    """`pointer` advanced by the sum of products in `terms`, each (stride, constant) or a value."""
    for term in terms:
        offset = term
        if isinstance(term, tuple):
            stride, times = term
            offset = builder.mul(stride, INT64(times)) if times else INT64(0)
        pointer = builder.gep(pointer, [offset])
    return pointer


def load_vector(builder, pointer, vector_type):
    """The vector at `pointer`, which need not be aligned."""
    size = 4 if isinstance(vector_type.element, ir.FloatType) else 8
    return builder.load(builder.bitcast(pointer, vector_type.as_pointer()), align=size)


def store_vector(builder, vector, pointer):
    """Write `vector` at `pointer`, which need not be aligned."""
    size = 4 if isinstance(vector.type.element, ir.FloatType) else 8
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()), align=size)


def build_tile(context, builder, tile, element):
    """An LLVM array whose register (row, vec) is ``element(row, vec)``."""
    out = ir.Constant(context.get_value_type(tile), ir.Undefined)
    for i, r, c in tile.cells():
        out = builder.insert_value(out, element(r, c), i)
    return out
