"""Tiles: load, store, and the steps of matrix products."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .llvm import INT32, INT64, address, build_tile, call_llvm, load_vector, splat, store_vector
from .types import Shape, vec_at


@intrinsic
def size(typing_context, shape):
    """(rows, lanes) of a Shape, as compile-time constants."""
    rows, width = shape.shape.rows, shape.shape.lanes

    def codegen(context, builder, signature, args):
        return cgutils.pack_array(builder, [INT64(rows), INT64(width)])

    return types.UniTuple(types.intp, 2)(shape), codegen


@intrinsic
def one_row(typing_context, shape):
    """The Shape of one row of a Shape."""
    whole = shape.shape
    row = type(shape)(Shape(whole.dtype.name, 1, whole.vecs, whole.vec.n))

    def codegen(context, builder, signature, args):
        return context.get_dummy_value()

    return row(shape), codegen


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
        vector_type = context.get_value_type(vec_at(source))
        rows = [
            load_vector(builder, address(builder, source_, (lds_, r)), vector_type)
            for r in range(vector_type.count)
        ]
        for c, v in enumerate(_transposed(builder, rows)):
            store_vector(builder, v, address(builder, to_, (ldt_, c)))
        return context.get_dummy_value()

    return types.void(source, types.intp, to, types.intp), codegen


@intrinsic
def gather_transpose(typing_context, source, order, lds, to, rows):
    """``to[rows[c] + r] = source[order[r] * lds + c]`` for a lanes x lanes square."""

    def codegen(context, builder, signature, args):
        source_, order_, lds_, to_, rows_ = args
        vector_type = context.get_value_type(vec_at(source))
        vectors = []
        for r in range(vector_type.count):
            index = builder.load(address(builder, order_, INT64(r)))
            start = address(builder, source_, builder.mul(index, lds_))
            vectors.append(load_vector(builder, start, vector_type))
        for c, v in enumerate(_transposed(builder, vectors)):
            row = builder.load(address(builder, rows_, INT64(c)))
            store_vector(builder, v, address(builder, to_, row))
        return context.get_dummy_value()

    return types.void(source, order, types.intp, to, rows), codegen
