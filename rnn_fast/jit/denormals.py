"""Denormal numbers are zero while a program runs, by flags of the processor.

Gradients and optimizer state that fade become denormal, and then arithmetic takes 8 to 34 times as
long.  A program sets the flags of its thread at its entry and puts the caller's control register
back at its exit, so that the code of others sees no difference.  To read or write the register
waits for all arithmetic before it, some 40 ns, so programs call each other by the entry behind it.
"""

from __future__ import annotations

from typing import Any

#: LLVM code around a program, by machine: of the control register, MXCSR has the bits FTZ
#: (results, 0x8000) and DAZ (operands, 0x40), and FPCR has FZ (both, 1 << 24)
_X86 = """
define void @{name}({parameters}) {{
    %register = alloca i32
    call void @llvm.x86.sse.stmxcsr(ptr %register)
    %before = load i32, ptr %register
    %flushing = or i32 %before, 32832
    store i32 %flushing, ptr %register
    call void @llvm.x86.sse.ldmxcsr(ptr %register)
    call void @{name}.inner({arguments})
    store i32 %before, ptr %register
    call void @llvm.x86.sse.ldmxcsr(ptr %register)
    ret void
}}
declare void @{name}.inner({parameters})
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
"""
_ARM = """
define void @{name}({parameters}) {{
    %before = call i64 @llvm.aarch64.get.fpcr()
    %flushing = or i64 %before, 16777216
    call void @llvm.aarch64.set.fpcr(i64 %flushing)
    call void @{name}.inner({arguments})
    call void @llvm.aarch64.set.fpcr(i64 %before)
    ret void
}}
declare void @{name}.inner({parameters})
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
"""
_PLAIN = """
define void @{name}({parameters}) {{
    call void @{name}.inner({arguments})
    ret void
}}
declare void @{name}.inner({parameters})
"""
_AROUND = {"x86_64": _X86, "aarch64": _ARM, "arm64": _ARM}


def has_flags(triple: str) -> bool:
    """Return whether programs for an LLVM triple flush denormals without code of their own."""
    return triple.partition("-")[0] in _AROUND


def inner_name(name: str) -> str:
    """Return the name of the entry by which another program calls the program `name`."""
    return f"{name}.inner"


def flush_denormals(module: Any, name: str) -> None:
    """Let a program of the module run with denormals as zeros, where the target has flags."""
    import llvmlite.binding as llvm

    inner = module.get_function(name)
    kinds = [f"{argument.type} %x{i}" for i, argument in enumerate(inner.arguments)]
    inner.name = inner_name(name)
    around = _AROUND.get(module.triple.partition("-")[0], _PLAIN)
    source = around.format(name=name, parameters=", ".join(kinds), arguments=", ".join(kinds))
    outer = llvm.parse_assembly(source)
    outer.triple, outer.data_layout = module.triple, module.data_layout
    module.link_in(outer)
