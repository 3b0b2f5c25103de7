"""Random numbers of a counter and a key, a Vec at a time: nothing else decides them.

A number's 32 bits are the counter, mixed, plus the lower half of the key; mixed again, together
with the upper half; and multiplied by an odd number, which carries all bits into the upper 24 that
are used.  The mixing is Chris Wellons' lowbias32, whose outputs show the least bias of its form.
The counter's own mixing is the same for all lanes where each has a key.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .llvm import INT32, INT64, address, build_tile, call_llvm, constant, splat
from .types import vec_at

GOLDEN = 0x9E3779B9


def _folded(builder, x):
    """x ^ (x >> 16)."""
    return builder.xor(x, builder.lshr(x, constant(x.type, 16)))


def _mixed(builder, x):
    """lowbias32 but for its last `_folded`."""
    x = builder.mul(_folded(builder, x), constant(x.type, 0x7FEB352D))
    x = builder.xor(x, builder.lshr(x, constant(x.type, 15)))
    return builder.mul(x, constant(x.type, 0x846CA68B))


def _uniform(context, builder, vec, counters, low, high):
    """Numbers in (-1, 1), odd multiples of 2**-24, of integers and keys in two halves."""
    counters = _folded(builder, _mixed(builder, counters))
    x = _mixed(builder, builder.add(counters, low))
    x = builder.mul(builder.xor(_folded(builder, x), high), constant(x.type, GOLDEN))
    real = context.get_value_type(vec)
    x = builder.sitofp(builder.ashr(x, constant(x.type, 8)), real)
    return call_llvm(builder, "fmuladd", x, constant(real, 2.0**-23), constant(real, 2.0**-24))


@intrinsic
def lane_uniforms(typing_context, row, counter, low, high):
    """A Tile of the one-row Shape `row`, of numbers in (-1, 1): each lane has a key of its own.

    The lower and upper halves of the keys are at `low` and `high`.
    """
    tile = row.tile

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(INT32, tile.vec.n)
        counters = splat(builder, builder.trunc(args[1], INT32), kind)

        def element(_, c):
            starts = (address(builder, half, INT64(c * tile.vec.n)) for half in args[2:])
            halves = (
                builder.load(builder.bitcast(start, kind.as_pointer()), align=4) for start in starts
            )
            return _uniform(context, builder, tile.vec, counters, *halves)

        return build_tile(context, builder, tile, element)

    return tile(row, types.int64, low, high), codegen


@intrinsic
def unit_uniforms(typing_context, p, counter, key):
    """A Vec as `load` reads it at `p`, of numbers in (-1, 1): counters go up from lane to lane."""
    vec = vec_at(p)

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(INT32, vec.n)
        counters = splat(builder, builder.trunc(args[1], INT32), kind)
        counters = builder.add(counters, ir.Constant(kind, [*range(vec.n)]))
        halves = (args[2], builder.lshr(args[2], INT64(32)))
        return _uniform(
            context,
            builder,
            vec,
            counters,
            *(splat(builder, builder.trunc(half, INT32), kind) for half in halves),
        )

    return vec(p, types.int64, types.int64), codegen
