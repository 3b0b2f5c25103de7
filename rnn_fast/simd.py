"""Vec and Tile: vector registers as values in compiled code.

``Vec``
    one vector register of ``lanes(dtype)`` numbers (an LLVM vector);
``Tile``
    ``rows x vecs`` of them, kept in registers (an LLVM array), the block of accumulators that
    LLVM does not keep for plain loops;
``Shape``
    a Python object that stands for a tile's size and dtype and passes through compiled code as a
    type, so that functions are written once for all sizes.

Memory is reached through bare pointers (``types.CPointer``): ``p[i]`` is a scalar, ``p + i`` a
pointer ``i`` elements on.  Nothing here checks a bound: the callers, and at last `checks`, do.
LLVM is spoken on this floor and in `_jit` only.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_constant
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, models, register_model, typeof_impl

from . import _jit

INT32, INT64 = ir.IntType(32), ir.IntType(64)


def lanes(dtype: types.Float) -> int:
    """Numbers of `dtype` in one vector register of the compile target."""
    return _jit.vector_bytes() * 8 // dtype.bitwidth


# ---------------------------------------------------------------------------------------- types


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


# -------------------------------------------------------------------------------- LLVM helpers


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


# --------------------------------------------------------------------------- elementwise maths


def _result(kinds):
    """The type of an elementwise operation: the Tile, or else the Vec, among its operands."""
    return next((k for k in kinds if isinstance(k, Tile)), None) or next(
        (k for k in kinds if isinstance(k, Vec)), None
    )


def _map(emit, context, builder, shape, kinds, values):
    """`emit` on each register of the operands, scalars broadcast."""
    vec = shape.vec if isinstance(shape, Tile) else shape
    vector_type = context.get_value_type(vec)
    operands = [
        v
        if isinstance(k, (Vec, Tile))
        else splat(builder, context.cast(builder, v, k, vec.dtype), vector_type)
        for v, k in zip(values, kinds, strict=True)
    ]
    if isinstance(shape, Vec):
        return emit(builder, *operands)

    def element(r, c):
        i = r * shape.vecs + c
        registers = (
            builder.extract_value(v, i) if isinstance(k, Tile) else v
            for v, k in zip(operands, kinds, strict=True)
        )
        return emit(builder, *registers)

    return build_tile(context, builder, shape, element)


def elementwise(emit: Callable, name: str):
    """An operation on Vecs; Tiles are taken register by register and scalars broadcast."""

    def operation(typing_context, *args):
        args = args[0] if len(args) == 1 and isinstance(args[0], types.BaseTuple) else args
        shape = _result(args)

        def codegen(context, builder, signature, llvm_args):
            values = cgutils.unpack_tuple(builder, llvm_args[0])
            return _map(emit, context, builder, shape, tuple(signature.args[0]), values)

        return shape(types.StarArgTuple(args)), codegen

    operation.__name__ = name
    return intrinsic(operation)


def operator_of(function: Callable, emit: Callable) -> None:
    """Give a Python operator its meaning for Vecs and Tiles.

    By a typing template, not an overload: that would compile a function for every use.
    """

    @infer_global(function)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            shape = _result(args)
            return shape and shape(*args)

    def lower(context, builder, signature, args):
        return _map(emit, context, builder, signature.return_type, signature.args, args)

    kinds = (Vec, Tile, types.Number)
    for x, y in itertools.product(kinds, kinds):
        if (x, y) != (types.Number, types.Number):
            lower_builtin(function, x, y)(lower)


def _clip(builder, x, low, high):
    x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
    return builder.select(builder.fcmp_ordered(">", x, high), high, x)


def _flush(builder, x):
    tiny = constant(x.type, 1e-30 if isinstance(x.type.element, ir.FloatType) else 1e-290)
    small = builder.fcmp_ordered("<", call_llvm(builder, "fabs", x), tiny)
    return builder.select(small, constant(x.type, 0.0), x)


def _pow2(builder, shifted):
    it, mantissa = integers(shifted.type)
    bits = builder.shl(builder.bitcast(shifted, it), constant(it, mantissa))
    return builder.bitcast(bits, shifted.type)


def _with_sign(builder, x, sign):
    it, mantissa = integers(x.type)
    mask = constant(it, 1 << (31 if mantissa == 23 else 63))
    bits = builder.and_(builder.bitcast(sign, it), mask)
    return builder.bitcast(builder.or_(builder.bitcast(x, it), bits), x.type)


def _exponent(builder, x):
    vt = x.type
    it, mantissa = integers(vt)
    bias = 127 if mantissa == 23 else 1023
    raw = builder.ashr(builder.bitcast(x, it), constant(it, mantissa))
    return builder.sitofp(builder.sub(raw, constant(it, bias)), vt)


def _scale_exponent(builder, x, n):
    it, mantissa = integers(x.type)
    shift = builder.shl(builder.fptosi(n, it), constant(it, mantissa))
    return builder.bitcast(builder.sub(builder.bitcast(x, it), shift), x.type)


#: a * b + c, one rounding where the target has it (``fmuladd``: without FMA hardware ``llvm.fma``
#: is a libm call per lane, 50 times slower)
fma = elementwise(lambda b, x, y, z: call_llvm(b, "fmuladd", x, y, z), "fma")
#: x limited to [low, high]; NaN passes through, since it compares false (minnum would drop it)
clip = elementwise(_clip, "clip")
#: x, or zero where abs(x) is below 1e-30 (float32) or 1e-290 (float64)
flush = elementwise(_flush, "flush")
#: 2**n, given t = n + bias + 1.5 * 2**mantissa_bits, whose low bits hold the integer n + bias
pow2 = elementwise(_pow2, "pow2")
#: floor(log2(x)) of a positive normal x
exponent = elementwise(_exponent, "exponent")
#: x * 2**-n for integer-valued n, by integer arithmetic on the exponent field
unscale = elementwise(_scale_exponent, "unscale")
absolute = elementwise(lambda b, x: call_llvm(b, "fabs", x), "absolute")
#: x >= 0 with the sign of s
with_sign = elementwise(_with_sign, "with_sign")
#: where a < b, x, else y
where_less = elementwise(
    lambda b, a, c, x, y: b.select(b.fcmp_ordered("<", a, c), x, y), "where_less"
)


operator_of(operator.add, lambda b, x, y: b.fadd(x, y))
operator_of(operator.sub, lambda b, x, y: b.fsub(x, y))
operator_of(operator.mul, lambda b, x, y: b.fmul(x, y))
operator_of(operator.truediv, lambda b, x, y: b.fdiv(x, y))


@intrinsic
def polynomial(typing_context, x, coefficients):
    """``sum of coefficients[k] * x**k``, by Estrin's scheme: half of Horner's latency."""

    def codegen(context, builder, signature, args):
        vector_type = context.get_value_type(x)
        terms = [
            splat(builder, context.cast(builder, c, kind, x.dtype), vector_type)
            for c, kind in zip(
                cgutils.unpack_tuple(builder, args[1]), signature.args[1], strict=True
            )
        ]
        power = args[0]
        while True:
            odd = terms[-1:] if len(terms) % 2 else []
            terms = [
                call_llvm(builder, "fmuladd", high, power, low)
                for low, high in zip(terms[::2], terms[1::2])  # noqa: B905
            ] + odd
            if len(terms) == 1:
                return terms[0]
            power = builder.fmul(power, power)

    return x(x, coefficients), codegen


@intrinsic
def apply(typing_context, function, *args):
    """`function`, a kernel of Vecs, on each register of the Tiles among `args`.

    Calling it per register keeps a polynomial's constants, not the whole tile, live.
    """
    args = args[0] if len(args) == 1 and isinstance(args[0], types.BaseTuple) else args
    tile = next(a for a in args if isinstance(a, Tile))
    inner = function.get_call_type(
        typing_context, tuple(a.vec if isinstance(a, Tile) else a for a in args), {}
    )

    def codegen(context, builder, signature, llvm_args):
        call = context.get_function(function, inner)
        context.add_linking_libs(getattr(call, "libs", ()))
        values = cgutils.unpack_tuple(builder, llvm_args[1])

        def element(r, c):
            i = r * tile.vecs + c
            return call(
                builder,
                [
                    builder.extract_value(v, i) if isinstance(k, Tile) else v
                    for v, k in zip(values, args, strict=True)
                ],
            )

        return build_tile(context, builder, tile, element)

    return tile(function, types.StarArgTuple(args)), codegen


# -------------------------------------------------------------------------------------- memory


@infer_global(operator.add)
class PointerAdd(AbstractTemplate):
    """``p + i``, the pointer `i` elements on."""

    def generic(self, args, kws):  # noqa: D102
        pointer, i = args
        if isinstance(pointer, types.CPointer) and isinstance(i, types.Integer):
            return pointer(pointer, types.intp)


@lower_builtin(operator.add, types.CPointer, types.Integer)
def _pointer_add(context, builder, signature, args):
    return builder.gep(args[0], [args[1]])


@intrinsic
def pointer(typing_context, address, dtype):
    """The integer `address` as a pointer to the Numba type `dtype`."""
    result = types.CPointer(dtype.dtype)

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(result))

    return result(types.int64, dtype), codegen


@intrinsic
def load_sizes(typing_context, name, p):
    """The NamedTuple class `name` of integers, read from `p` on."""
    n = len(name.instance_class._fields)
    result = types.NamedUniTuple(types.int64, n, name.instance_class)

    def codegen(context, builder, signature, args):
        values = [builder.load(address(builder, args[1], INT64(i))) for i in range(n)]
        return context.make_tuple(builder, result, values)

    return result(name, p), codegen


@intrinsic
def load_buffers(typing_context, name, base, offsets):
    """The NamedTuple class `name` of pointers ``base + offsets[i]``."""
    n = len(name.instance_class._fields)
    result = types.NamedUniTuple(base, n, name.instance_class)

    def codegen(context, builder, signature, args):
        starts = [builder.load(address(builder, args[2], INT64(i))) for i in range(n)]
        values = [address(builder, args[1], start) for start in starts]
        return context.make_tuple(builder, result, values)

    return result(name, base, offsets), codegen


@intrinsic
def load(typing_context, p):
    """The Vec at `p`."""
    vec = Vec(p.dtype)

    def codegen(context, builder, signature, args):
        return load_vector(builder, args[0], context.get_value_type(vec))

    return vec(p), codegen


@intrinsic
def store(typing_context, p, v):
    """Write the Vec `v` at `p`."""

    def codegen(context, builder, signature, args):
        store_vector(builder, args[1], args[0])
        return context.get_dummy_value()

    return types.void(p, v), codegen


@intrinsic
def fill(typing_context, p, x):
    """A Vec of the dtype of pointer `p` with `x` in every lane."""
    vec = Vec(p.dtype)

    def codegen(context, builder, signature, args):
        scalar = context.cast(builder, args[1], signature.args[1], vec.dtype)
        return splat(builder, scalar, context.get_value_type(vec))

    return vec(p, x), codegen


@intrinsic
def first(typing_context, v):
    """The number in lane 0 of Vec `v`."""

    def codegen(context, builder, signature, args):
        return builder.extract_element(args[0], INT32(0))

    return v.dtype(v), codegen


@intrinsic
def total(typing_context, v):
    """The sum over the lanes of Vec `v`, in an order fixed by the width."""

    def codegen(context, builder, signature, args):
        x = args[0]
        width = v.n
        undefined = ir.Constant(x.type, ir.Undefined)
        while width > 1:
            width //= 2
            upper = [min(i + width, v.n - 1) for i in range(v.n)]
            mask = ir.Constant(ir.VectorType(INT32, v.n), upper)
            x = builder.fadd(x, builder.shuffle_vector(x, undefined, mask))
        return builder.extract_element(x, INT32(0))

    return v.dtype(v), codegen


# --------------------------------------------------------------------------------------- tiles


@intrinsic
def size(typing_context, shape):
    """(rows, lanes) of a Shape, as compile-time constants."""
    rows, width = shape.shape.rows, shape.shape.lanes

    def codegen(context, builder, signature, args):
        return cgutils.pack_array(builder, [INT64(rows), INT64(width)])

    return types.UniTuple(types.intp, 2)(shape), codegen


@intrinsic
def width(typing_context, p):
    """Lanes of a Vec of the dtype that `p` points to, as a compile-time constant."""
    n = lanes(p.dtype)

    def codegen(context, builder, signature, args):
        return INT64(n)

    return types.intp(p), codegen


@intrinsic
def zeros(typing_context, shape):
    """A Tile of zeros."""

    def codegen(context, builder, signature, args):
        return cgutils.get_null_value(context.get_value_type(shape.tile))

    return shape.tile(shape), codegen


@intrinsic
def load_tile(typing_context, shape, p, ld):
    """The Tile whose row r starts at ``p + r * ld``."""

    def codegen(context, builder, signature, args):
        _, p_, ld_ = args
        vec = shape.tile.vec
        vector_type = context.get_value_type(vec)
        return build_tile(
            context,
            builder,
            shape.tile,
            lambda r, c: load_vector(
                builder, address(builder, p_, (ld_, r), INT64(c * vec.n)), vector_type
            ),
        )

    return shape.tile(shape, p, types.intp), codegen


@intrinsic
def store_tile(typing_context, p, ld, tile):
    """Write row r of `tile` at ``p + r * ld``."""

    def codegen(context, builder, signature, args):
        p_, ld_, tile_ = args
        for i, r, c in tile.cells():
            to = address(builder, p_, (ld_, r), INT64(c * tile.vec.n))
            store_vector(builder, builder.extract_value(tile_, i), to)
        return context.get_dummy_value()

    return types.void(p, types.intp, tile), codegen


@intrinsic
def spread(typing_context, shape, p, ld):
    """The Tile whose row r holds the scalar ``p[r * ld]`` in every lane."""

    def codegen(context, builder, signature, args):
        _, p_, ld_ = args
        vector_type = context.get_value_type(shape.tile.vec)
        scalars = [
            splat(builder, builder.load(address(builder, p_, (ld_, r))), vector_type)
            for r in range(shape.tile.rows)
        ]
        return build_tile(context, builder, shape.tile, lambda r, c: scalars[r])

    return shape.tile(shape, p, types.intp), codegen


def _rank1(builder, tile, vector_type, acc, scalars, b):
    """`acc` + the outer product of the numbers at the pointers `scalars` and the row at `b`."""
    row = [
        load_vector(builder, address(builder, b, INT64(c * tile.vec.n)), vector_type)
        for c in range(tile.vecs)
    ]
    for r, scalar in enumerate(scalars):
        factor = splat(builder, builder.load(scalar), vector_type)
        for c in range(tile.vecs):
            i = r * tile.vecs + c
            new = call_llvm(builder, "fmuladd", factor, row[c], builder.extract_value(acc, i))
            acc = builder.insert_value(acc, new, i)
    return acc


@intrinsic
def rank1(typing_context, acc, a, lda, b):
    """``acc[r, :] + a[r * lda] * b[:]``: one step of a matrix product."""

    def codegen(context, builder, signature, args):
        acc_, a_, lda_, b_ = args
        scalars = [address(builder, a_, (lda_, r)) for r in range(acc.rows)]
        return _rank1(builder, acc, context.get_value_type(acc.vec), acc_, scalars, b_)

    return acc(acc, a, types.intp, b), codegen


@intrinsic
def rank_lanes(typing_context, acc, a, lda, b):
    """``acc[r, :] + sum over k of a[r * lda + k] * b[k, :]``, k over the lanes of the tile.

    As many steps of a product as a panel has rows, with no loop around them.
    """
    wide = acc.vecs * acc.vec.n

    def codegen(context, builder, signature, args):
        acc_, a_, lda_, b_ = args
        rows = [address(builder, a_, (lda_, r)) for r in range(acc.rows)]
        for k in range(wide):
            scalars = [address(builder, row, INT64(k)) for row in rows]
            at = address(builder, b_, INT64(k * wide))
            acc_ = _rank1(builder, acc, context.get_value_type(acc.vec), acc_, scalars, at)
        return acc_

    return acc(acc, a, types.intp, b), codegen


@intrinsic
def dots(typing_context, acc, a, lda, b, ldb):
    """``acc[r, c] + a[r * lda + lane] * b[c * ldb + lane]``: one step of rows x vecs dot products.

    The lanes are summed by nobody yet (see `total`).
    """

    def codegen(context, builder, signature, args):
        acc_, a_, lda_, b_, ldb_ = args
        vector_type = context.get_value_type(acc.vec)
        columns = [
            load_vector(builder, address(builder, b_, (ldb_, c)), vector_type)
            for c in range(acc.vecs)
        ]
        for r in range(acc.rows):
            row = load_vector(builder, address(builder, a_, (lda_, r)), vector_type)
            for c in range(acc.vecs):
                i = r * acc.vecs + c
                old = builder.extract_value(acc_, i)
                new = call_llvm(builder, "fmuladd", row, columns[c], old)
                acc_ = builder.insert_value(acc_, new, i)
        return acc_

    return acc(acc, a, types.intp, b, types.intp), codegen


@intrinsic
def sum_rows(typing_context, tile, row_shape):
    """The one-row Tile (of `row_shape`) of column sums, added in pairs."""

    def codegen(context, builder, signature, args):
        def element(_, c):
            terms = [builder.extract_value(args[0], r * tile.vecs + c) for r in range(tile.rows)]
            while len(terms) > 1:
                pairs = [builder.fadd(x, y) for x, y in zip(terms[::2], terms[1::2])]  # noqa: B905
                terms = pairs + terms[len(pairs) * 2 :]
            return terms[0]

        return build_tile(context, builder, row_shape.tile, element)

    return row_shape.tile(tile, row_shape), codegen


def _transposed(builder, rows):
    """Transpose a square of n vectors by log2(n) butterfly steps."""
    n, step = len(rows), 1
    mask_type = ir.VectorType(INT32, n)
    while step < n:
        new = list(rows)
        low = [c if not c & step else n + (c ^ step) for c in range(n)]
        high = [c | step if not c & step else n + c for c in range(n)]
        for r in range(n):
            if not r & step:
                pair = rows[r], rows[r | step]
                new[r] = builder.shuffle_vector(*pair, ir.Constant(mask_type, low))
                new[r | step] = builder.shuffle_vector(*pair, ir.Constant(mask_type, high))
        rows, step = new, step * 2
    return rows


@intrinsic
def transpose(typing_context, source, lds, to, ldt):
    """``to[c * ldt + r] = source[r * lds + c]`` for a lanes x lanes square."""

    def codegen(context, builder, signature, args):
        source_, lds_, to_, ldt_ = args
        vector_type = context.get_value_type(Vec(source.dtype))
        rows = [
            load_vector(builder, address(builder, source_, (lds_, r)), vector_type)
            for r in range(vector_type.count)
        ]
        for c, v in enumerate(_transposed(builder, rows)):
            store_vector(builder, v, address(builder, to_, (ldt_, c)))
        return context.get_dummy_value()

    return types.void(source, types.intp, to, types.intp), codegen


@intrinsic
def gather_transpose(typing_context, source, order, lds, to, ldt):
    """``to[c * ldt + r] = source[order[r] * lds + c]`` for a lanes x lanes square."""

    def codegen(context, builder, signature, args):
        source_, order_, lds_, to_, ldt_ = args
        vector_type = context.get_value_type(Vec(source.dtype))
        rows = []
        for r in range(vector_type.count):
            index = builder.load(address(builder, order_, INT64(r)))
            start = address(builder, source_, builder.mul(index, lds_))
            rows.append(load_vector(builder, start, vector_type))
        for c, v in enumerate(_transposed(builder, rows)):
            store_vector(builder, v, address(builder, to_, (ldt_, c)))
        return context.get_dummy_value()

    return types.void(source, order, types.intp, to, types.intp), codegen
