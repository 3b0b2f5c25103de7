"""Random numbers of a counter and a key, a Vec at a time: nothing else decides them.

A number's 32 bits are the counter, mixed with the lower half of the key, and again with the upper
half; the mixing is Chris Wellons' lowbias32, whose outputs show the least bias of its form.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .llvm import INT32, INT64, constant, splat
from .types import vec_at

GOLDEN = 0x9E3779B9


def _mixed(builder, x):
    kind = x.type
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = builder.xor(x, builder.lshr(x, constant(kind, shift)))
        x = builder.mul(x, constant(kind, factor))
    return builder.xor(x, builder.lshr(x, constant(kind, 16)))


def _uniform(context, builder, vec, counters, keys):
    """Numbers in (-1, 1), odd multiples of 2**-24, of integers and keys of 64 bits."""
    kind = ir.VectorType(INT32, vec.n)
    x = builder.mul(counters, constant(kind, GOLDEN))
    x = _mixed(builder, builder.add(x, builder.trunc(keys, kind)))
    upper = builder.lshr(keys, constant(keys.type, 32))
    x = _mixed(builder, builder.xor(x, builder.trunc(upper, kind)))
    real = context.get_value_type(vec)
    x = builder.sitofp(builder.ashr(x, constant(kind, 8)), real)
    return builder.fmul(builder.fadd(x, constant(real, 0.5)), constant(real, 2.0**-23))


@intrinsic
def lane_uniforms(typing_context, p, counter, keys):
    """A Vec as `load` reads it at `p`, of numbers in (-1, 1): each lane has a key of its own."""
    vec = vec_at(p)

    def codegen(context, builder, signature, args):
        wide = ir.VectorType(INT64, vec.n)
        at = builder.bitcast(args[2], wide.as_pointer())
        counters = splat(builder, builder.trunc(args[1], INT32), ir.VectorType(INT32, vec.n))
        return _uniform(context, builder, vec, counters, builder.load(at, align=8))

    return vec(p, types.int64, keys), codegen


@intrinsic
def unit_uniforms(typing_context, p, counter, key):
    """A Vec as `load` reads it at `p`, of numbers in (-1, 1): counters go up from lane to lane."""
    vec = vec_at(p)

    def codegen(context, builder, signature, args):
        narrow, wide = ir.VectorType(INT32, vec.n), ir.VectorType(INT64, vec.n)
        counters = splat(builder, builder.trunc(args[1], INT32), narrow)
        counters = builder.add(counters, ir.Constant(narrow, [*range(vec.n)]))
        return _uniform(context, builder, vec, counters, splat(builder, args[2], wide))

    return vec(p, types.int64, types.int64), codegen
