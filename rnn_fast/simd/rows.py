"""Rows of numbers from and to memory, as tuples of Vecs; their count is known at compile time."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from .elementwise import _flush
from .llvm import INT64, load_vector, splat, store_vector
from .llvm import address as advance
from .types import Vec, vec_at


@intrinsic(prefer_literal=True)
def load_rows(typing_context, p, step, n):
    """A tuple of the Vecs at ``p, p + step, ...``, `n` of them."""
    vec = vec_at(p)
    result = types.UniTuple(vec, n.literal_value)

    def codegen(context, builder, signature, args):
        at, vector_type = args[0], context.get_value_type(vec)
        rows = []
        for _ in range(n.literal_value):
            rows.append(load_vector(builder, at, vector_type))
            at = advance(builder, at, args[1])
        return context.make_tuple(builder, result, rows)

    return result(p, types.int64, n), codegen


@intrinsic(prefer_literal=True)
def load_numbers(typing_context, p, n):
    """A tuple of the numbers at ``p, p + 1, ...``, `n` of them."""
    result = types.UniTuple(p.dtype, n.literal_value)

    def codegen(context, builder, signature, args):
        values = [builder.load(advance(builder, args[0], INT64(i))) for i in range(n.literal_value)]
        return context.make_tuple(builder, result, values)

    return result(p, n), codegen


def _stored(p, rows, adds):
    """Signature and code of `store_rows` and `add_rows`."""
    vec = vec_at(p)

    def codegen(context, builder, signature, args):
        at, vector_type = args[0], context.get_value_type(vec)
        for i, kind in enumerate(rows):
            value = builder.extract_value(args[2], i)
            if not isinstance(kind, Vec):
                value = splat(builder, context.cast(builder, value, kind, vec.dtype), vector_type)
            if adds:
                value = builder.fadd(load_vector(builder, at, vector_type), value)
            store_vector(builder, _flush(builder, value), at)
            at = advance(builder, at, args[1])
        return context.get_dummy_value()

    return types.void(p, types.int64, rows), codegen


@intrinsic
def store_rows(typing_context, p, step, rows):
    """Write a tuple of Vecs or numbers at ``p, p + step, ...``, flushed."""
    return _stored(p, rows, False)


@intrinsic
def add_rows(typing_context, p, step, rows):
    """Add a tuple of Vecs or numbers to the Vecs at ``p, p + step, ...``."""
    return _stored(p, rows, True)
