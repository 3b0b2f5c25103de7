"""Records in memory whose fields are read where they are used.

A `View` is a pointer to a NamedTuple of integers and addresses; a `Buffers` is a pointer and the
offsets of a NamedTuple of buffers from it.  Passing one costs one or two registers, not one for
each field.  The memory must not change while a program runs: LLVM may read a field once only.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, models, register_model

from .llvm import INT64
from .llvm import address as advance
from .types import Reals


def field_types(record, vec=None):
    """Numba types of a record's fields, by their annotations (`layout.pointers`)."""
    kinds = {"int": types.int64, "float": types.float64}
    kinds |= {"Ints": types.CPointer(types.int64), "Doubles": types.CPointer(types.float64)}
    if vec is not None:
        kinds["Reals"] = Reals(vec)
    annotations = [record.__annotations__[name] for name in record._fields]
    return [kinds[getattr(a, "__forward_arg__", None) or a.__name__] for a in annotations]


class View(types.Type):
    """A pointer to a record."""

    def __init__(self, record, vec=None):
        self.places = {name: i for i, name in enumerate(record._fields)}
        self.fields = field_types(record, vec)
        super().__init__(f"View({record.__name__}, {vec})")


class Buffers(types.Type):
    """A pointer, and the offsets of a record of buffers from it."""

    def __init__(self, record, pointer):
        self.places = {name: i for i, name in enumerate(record._fields)}
        self.pointer = pointer
        super().__init__(f"Buffers({record.__name__}, {pointer})")


@register_model(View)
class ViewModel(models.PrimitiveModel):
    """A View is a pointer to integers."""

    def __init__(self, dmm, ty):
        super().__init__(dmm, ty, INT64.as_pointer())


@register_model(Buffers)
class BuffersModel(models.StructModel):
    """A Buffers is a pointer to reals and a pointer to offsets."""

    def __init__(self, dmm, ty):
        offsets = types.CPointer(types.int64)
        super().__init__(dmm, ty, [("base", ty.pointer), ("offsets", offsets)])


@infer_getattr
class ViewAttributes(AttributeTemplate):
    """Fields of a View."""

    key = View

    def generic_resolve(self, view, name):  # noqa: D102
        return view.fields[view.places[name]]


@infer_getattr
class BuffersAttributes(AttributeTemplate):
    """Buffers by name."""

    key = Buffers

    def generic_resolve(self, buffers, name):  # noqa: D102
        return buffers.pointer


def _read(builder, pointer, place):
    """Read an integer that never changes."""
    value = builder.load(advance(builder, pointer, INT64(place)))
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


@lower_getattr_generic(View)
def _field(context, builder, view, value, name):
    place = view.places[name]
    number, kind = _read(builder, value, place), view.fields[place]
    if isinstance(kind, types.CPointer):
        return builder.inttoptr(number, context.get_value_type(kind))
    if isinstance(kind, types.Float):
        return builder.bitcast(number, context.get_value_type(kind))
    return number


@lower_getattr_generic(Buffers)
def _buffer(context, builder, buffers, value, name):
    pair = cgutils.create_struct_proxy(buffers)(context, builder, value=value)
    return advance(builder, pair.base, _read(builder, pair.offsets, buffers.places[name]))


@intrinsic
def view(typing_context, record, p):
    """The record of integers and addresses at `p`, a `View`."""
    result = View(record.instance_class)

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[1], context.get_value_type(result))

    return result(record, p), codegen


@intrinsic
def typed_view(typing_context, record, p, shape):
    """`view` of a record that has fields of kind ``Reals``: numbers in the vectors of a Shape."""
    result = View(record.instance_class, shape.tile.vec)

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[1], context.get_value_type(result))

    return result(record, p, shape), codegen


@intrinsic
def buffers_of(typing_context, record, base, offsets):
    """The buffers ``base + offsets[i]`` of a record, by name."""
    result = Buffers(record.instance_class, base)

    def codegen(context, builder, signature, args):
        pair = cgutils.create_struct_proxy(result)(context, builder)
        pair.base, pair.offsets = args[1], args[2]
        return pair._getvalue()

    return result(record, base, offsets), codegen
