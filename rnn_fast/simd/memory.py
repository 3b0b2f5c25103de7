"""Pointers, and Vecs to and from memory.

``p[i]`` is a scalar, ``p + i`` the pointer `i` elements on.  No function checks a bound: that is
done before a program runs, in `data.checks`.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic

from .llvm import INT32, INT64, load_vector, splat, store_vector
from .llvm import address as advance
from .types import Vec, lanes


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


def _fields(record, number, real):
    """Return the Numba types of a record's fields, by their annotations (`layout.pointers`)."""
    kinds = {"int": number, "float": number, "Any": number}
    kinds |= {"Ints": types.CPointer(types.int64), "Doubles": types.CPointer(types.float64)}
    if real is not None:
        kinds["Reals"] = types.CPointer(real)
    annotations = [record.__annotations__[name] for name in record._fields]
    return [kinds[getattr(a, "__forward_arg__", a)] for a in annotations]


def _load_fields(name, p, real):
    fields = _fields(name.instance_class, p.dtype, real)
    result = types.NamedTuple(fields, name.instance_class)

    def codegen(context, builder, signature, args):
        values = []
        for i, kind in enumerate(fields):
            value = builder.load(advance(builder, args[1], INT64(i)))
            if isinstance(kind, types.CPointer):
                value = builder.inttoptr(value, context.get_value_type(kind))
            values.append(value)
        return context.make_tuple(builder, result, values)

    return result, codegen


@intrinsic
def load_record(typing_context, name, p):
    """The NamedTuple class `name` of numbers and pointers, read from `p` on."""
    result, codegen = _load_fields(name, p, None)
    return result(name, p), codegen


@intrinsic
def load_typed_record(typing_context, name, p, real):
    """`load_record` of a record that has fields of kind ``Reals``, numbers of type `real`."""
    result, codegen = _load_fields(name, p, real.dtype)
    return result(name, p, real), codegen


@intrinsic
def exists(typing_context, p):
    """Return whether a pointer is not null."""

    def codegen(context, builder, signature, args):
        null = context.get_constant_null(p)
        return builder.icmp_unsigned("!=", args[0], null)

    return types.boolean(p), codegen


@intrinsic
def store_record(typing_context, p, record):
    """Write a tuple of numbers from `p` on."""

    def codegen(context, builder, signature, args):
        for i in range(len(record)):
            value = context.cast(builder, builder.extract_value(args[1], i), record[i], p.dtype)
            builder.store(value, advance(builder, args[0], INT64(i)))
        return context.get_dummy_value()

    return types.void(p, record), codegen


@intrinsic
def load_buffers(typing_context, name, base, offsets):
    """The NamedTuple class `name` of pointers ``base + offsets[i]``."""
    n = len(name.instance_class._fields)
    result = types.NamedUniTuple(base, n, name.instance_class)

    def codegen(context, builder, signature, args):
        starts = [builder.load(advance(builder, args[2], INT64(i))) for i in range(n)]
        values = [advance(builder, args[1], start) for start in starts]
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


@intrinsic
def width(typing_context, p):
    """Lanes of a Vec of the dtype that `p` points to, as a compile-time constant."""
    n = lanes(p.dtype)

    def codegen(context, builder, signature, args):
        return INT64(n)

    return types.intp(p), codegen
