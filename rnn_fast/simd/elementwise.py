"""Elementwise maths on Vecs and Tiles, register by register; scalars are broadcast."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic

from ..jit import has_flags, target
from .llvm import build_tile, call_llvm, constant, integers, splat
from .types import Tile, Vec


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


def operator_of(function: Callable, emit: Callable, n_operands: int = 2) -> None:
    """Define a Python operator for Vecs and Tiles.

    A typing template does it: an overload would compile a function for every use.
    """

    @infer_global(function)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            shape = _result(args)
            return shape and shape(*args)

    def lower(context, builder, signature, args):
        return _map(emit, context, builder, signature.return_type, signature.args, args)

    kinds = (Vec, Tile, types.Number)
    for operands in itertools.product(kinds, repeat=n_operands):
        if set(operands) != {types.Number}:
            lower_builtin(function, *operands)(lower)


def _clip(builder, x, low, high):
    x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
    return builder.select(builder.fcmp_ordered(">", x, high), high, x)


def _flush(builder, x, tiny=(1e-30, 1e-290)):
    if has_flags(target().triple):
        return x
    limit = constant(x.type, tiny[isinstance(x.type.element, ir.DoubleType)])
    small = builder.fcmp_ordered("<", call_llvm(builder, "fabs", x), limit)
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


def _horner(builder, x, highest, *terms):
    for term in terms:
        highest = call_llvm(builder, "fmuladd", highest, x, term)
    return highest


#: a * b + c, one rounding where the target has it (``fmuladd``: without FMA hardware ``llvm.fma``
#: is a libm call per lane, 50 times slower)
fma = elementwise(lambda b, x, y, z: call_llvm(b, "fmuladd", x, y, z), "fma")
#: x limited to [low, high]; NaN passes through, since it compares false (minnum would drop it)
clip = elementwise(_clip, "clip")
#: x, or zero where abs(x) is below 1e-30 (float32) or 1e-290 (float64), if the target has no flags
#: that flush denormals
flush = elementwise(_flush, "flush")
#: x, or zero where x * x is below those limits, likewise
flush_root = elementwise(lambda b, x: _flush(b, x, (1e-15, 1e-145)), "flush_root")
#: 2**n, given t = n + bias + 1.5 * 2**mantissa_bits, whose low bits hold the integer n + bias
pow2 = elementwise(_pow2, "pow2")
#: floor(log2(x)) of a positive normal x
exponent = elementwise(_exponent, "exponent")
#: x * 2**-n for integer-valued n, by integer arithmetic on the exponent field
unscale = elementwise(_scale_exponent, "unscale")
#: square root
root = elementwise(lambda b, x: call_llvm(b, "sqrt", x), "root")
absolute = elementwise(lambda b, x: call_llvm(b, "fabs", x), "absolute")
#: x >= 0 with the sign of s
with_sign = elementwise(_with_sign, "with_sign")
#: x where a < b, else y
where_less = elementwise(
    lambda b, a, c, x, y: b.select(b.fcmp_ordered("<", a, c), x, y), "where_less"
)


#: a polynomial in x, highest term first, by Horner's scheme: fewer registers and operations than
#: `polynomial` takes, twice the latency
horner = elementwise(_horner, "horner")

operator_of(operator.add, lambda b, x, y: b.fadd(x, y))
operator_of(operator.sub, lambda b, x, y: b.fsub(x, y))
operator_of(operator.mul, lambda b, x, y: b.fmul(x, y))
operator_of(operator.truediv, lambda b, x, y: b.fdiv(x, y))
operator_of(operator.neg, lambda b, x: b.fneg(x), 1)


@intrinsic
def polynomial(typing_context, x, coefficients):
    """``sum of coefficients[k] * x**k``, by Estrin's scheme: half of Horner's latency.

    If the number of terms is odd, the lowest is added last: that saves a power of x.
    """

    def codegen(context, builder, signature, args):
        vector_type = context.get_value_type(x)
        terms = [
            splat(builder, context.cast(builder, c, kind, x.dtype), vector_type)
            for c, kind in zip(
                cgutils.unpack_tuple(builder, args[1]), signature.args[1], strict=True
            )
        ]
        power = args[0]
        lowest = terms.pop(0) if len(terms) % 2 else None
        while True:
            odd = terms[-1:] if len(terms) % 2 else []
            terms = [
                call_llvm(builder, "fmuladd", high, power, low)
                for low, high in zip(terms[::2], terms[1::2])  # noqa: B905
            ] + odd
            if len(terms) == 1:
                break
            power = builder.fmul(power, power)
        return (
            terms[0] if lowest is None else call_llvm(builder, "fmuladd", terms[0], args[0], lowest)
        )

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
