"""Atomic words, and ways to wait, for threads that share work."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..jit import target
from .llvm import INT32, INT64

#: LLVM's name of the instruction that says a loop only waits, by machine
PAUSES = {"x86_64": "llvm.x86.sse2.pause", "aarch64": "llvm.aarch64.hint"}


@intrinsic
def load_acquire(typing_context, p):
    """The integer at `p`; writes before its `store_release` are visible afterwards."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(args[0], "acquire", 8)

    return types.int64(p), codegen


@intrinsic
def store_release(typing_context, p, value):
    """Write the integer `value` at `p`, after all earlier writes."""

    def codegen(context, builder, signature, args):
        builder.store_atomic(args[1], args[0], "release", 8)
        return context.get_dummy_value()

    return types.void(p, types.int64), codegen


@intrinsic
def fetch_add(typing_context, p, value):
    """Add to the integer at `p` atomically; return the old value."""

    def codegen(context, builder, signature, args):
        return builder.atomic_rmw("add", args[0], args[1], "acq_rel")

    return types.int64(p, types.int64), codegen


@intrinsic
def replace(typing_context, p, old, new):
    """Write `new` at `p` if `old` is there, atomically; return whether it was."""

    def codegen(context, builder, signature, args):
        pair = builder.cmpxchg(args[0], args[1], args[2], "acq_rel", "acquire")
        return builder.extract_value(pair, 1)

    return types.boolean(p, types.int64, types.int64), codegen


@intrinsic
def pause(typing_context):
    """Wait for some cycles."""

    def codegen(context, builder, signature, args):
        machine = target().triple.partition("-")[0]
        name, arguments = PAUSES.get(machine, ""), []
        if name.endswith("hint"):
            arguments = [INT32(1)]  # yield
        if name:
            kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, arguments)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def call_with(typing_context, address, value):
    """Call the C function ``int f(int)`` at `address`."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(INT32, [INT32])
        function = builder.inttoptr(args[0], kind.as_pointer())
        return builder.zext(builder.call(function, [builder.trunc(args[1], INT32)]), INT64)

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def call_program(typing_context, address, record):
    """Call the program at `address` with a pointer to its record."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [args[1].type])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [args[1]])
        return context.get_dummy_value()

    return types.void(types.int64, record), codegen
