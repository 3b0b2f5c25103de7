"""Pointers, and Vecs to and from memory.

``p[i]`` is a scalar, ``p + i`` the pointer `i` elements on.  No function checks a bound: that is
done before a program runs, in `data.checks`.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic

from .llvm import INT32, INT64, load_vector, splat, store_vector
from .llvm import address as advance
from .types import vec_at


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
    """An integer address, or another pointer, as a pointer to the Numba type `dtype`."""
    result = types.CPointer(dtype.dtype)
    from_pointer = isinstance(address, types.CPointer)

    def codegen(context, builder, signature, args):
        convert = builder.bitcast if from_pointer else builder.inttoptr
        return convert(args[0], context.get_value_type(result))

    return result(address if from_pointer else types.int64, dtype), codegen


@intrinsic
def load_record(typing_context, name, p):
    """The NamedTuple class `name` of numbers, read from `p` on."""
    n = len(name.instance_class._fields)
    result = types.NamedUniTuple(p.dtype, n, name.instance_class)

    def codegen(context, builder, signature, args):
        values = [builder.load(advance(builder, args[1], INT64(i))) for i in range(n)]
        return context.make_tuple(builder, result, values)

    return result(name, p), codegen


@intrinsic
def address_of(typing_context, p):
    """A pointer as an integer address."""

    def codegen(context, builder, signature, args):
        return builder.ptrtoint(args[0], INT64)

    return types.int64(p), codegen


@intrinsic
def exists(typing_context, p):
    """Return whether a pointer is not null."""

    def codegen(context, builder, signature, args):
        null = context.get_constant_null(p)
        return builder.icmp_unsigned("!=", args[0], null)

    return types.boolean(p), codegen


def _store_fields(context, builder, record, values, p):
    """Write a tuple's integers, addresses, and doubles as they are, from the word `p` on."""
    for i, kind in enumerate(record):
        value = builder.extract_value(values, i)
        if isinstance(kind, types.CPointer):
            value = builder.ptrtoint(value, INT64)
        elif isinstance(kind, types.Float):
            value = context.cast(builder, value, kind, types.float64)
            value = builder.bitcast(value, INT64)
        else:
            value = context.cast(builder, value, kind, types.int64)
        builder.store(value, advance(builder, p, INT64(i)))


@intrinsic
def store_record(typing_context, p, record):
    """Write a tuple of numbers and pointers to the words from `p` on."""

    def codegen(context, builder, signature, args):
        _store_fields(context, builder, record, args[1], args[0])
        return context.get_dummy_value()

    return types.void(p, record), codegen


@intrinsic
def on_stack(typing_context, record):
    """A tuple of numbers and pointers as words on the stack, until the kernel returns."""
    result = types.CPointer(types.int64)

    def codegen(context, builder, signature, args):
        words = cgutils.alloca_once(builder, INT64, size=len(record))
        _store_fields(context, builder, record, args[0], words)
        return words

    return result(record), codegen


@intrinsic
def prefetch(typing_context, p):
    """Ask for the cache line at `p`, for the second cache; nothing happens if there is none."""

    def codegen(context, builder, signature, args):
        at = builder.bitcast(args[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [at.type, INT32, INT32, INT32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [at.type], kind)
        reads, second, data = INT32(0), INT32(2), INT32(1)
        builder.call(function, [at, reads, second, data])
        return context.get_dummy_value()

    return types.void(p), codegen


@intrinsic
def load(typing_context, p):
    """The Vec at `p`."""
    vec = vec_at(p)

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
    """A Vec as `load` reads it at `p`, with `x` in every lane."""
    vec = vec_at(p)

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


@intrinsic
def width(typing_context, p):
    """Lanes of a Vec that `load` reads at `p`, as a compile-time constant."""
    n = vec_at(p).n

    def codegen(context, builder, signature, args):
        return INT64(n)

    return types.intp(p), codegen
