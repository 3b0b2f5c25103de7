"""The processor that code is made for."""

from __future__ import annotations

import functools
import os
from typing import Any

from .forks import LOADING
from .levels import LEVELS, Target, family, model_of
from .shipped import answers, level


@functools.cache
def target() -> Target:
    """Return the processor that code is made for.

    That of `level`, or the host, unless ``NUMBA_CPU_NAME`` or ``NUMBA_CPU_FEATURES`` say otherwise.
    """
    if level():
        return LEVELS[level()].target
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME", "")
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name not in ("", "host") else llvm.get_host_cpu_features().flatten()
    name = name if name not in ("", "host") else llvm.get_host_cpu_name()
    return Target(object_triple(llvm.get_process_triple()), name, features)


@functools.cache
def processor() -> str:
    """Return LLVM's name of the processor, if tiles are chosen after its kind."""
    if not level():
        return target().processor
    return model_of(answers()) if level() in family() else ""


def object_triple(triple: str) -> str:
    """Return a triple whose objects are ELF with the conventions of `triple`.

    `elf` reads no other.
    """
    machine, _, system = triple.partition("-")
    if "windows" in system:
        return triple.removesuffix("-elf") + "-elf"
    return f"{machine}-unknown-linux-gnu" if "darwin" in system or "apple" in system else triple


def target_machine() -> Any:
    """Return LLVM's machine for the target."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple, name, features = target()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="small"
    )


def native_object(module: Any, name: str) -> bytes:
    """Return an object of this system's own format, for its linker.

    Parameters
    ----------
    module : Module
        With a ``program``; its other functions become part of it alone.
    name : str
        Symbol of the program in the object.
    """
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=target().processor, features=target().features, opt=3, reloc="pic", codemodel="small"
    )
    module.triple, module.data_layout = triple, str(machine.target_data)
    for function in module.functions:
        if not function.is_declaration and function.name != "program":
            function.linkage = "internal"
    module.get_function("program").name = name
    return machine.emit_object(module)


def _assembly(kind: str, *lines: str) -> str:
    """Return the target's code for `lines` of LLVM, which make %y from %x, both of type `kind`."""
    with LOADING:  # imports LLVM, perhaps
        import llvmlite.binding as llvm

    body = "\n".join([f"%x = load {kind}, ptr %p", *lines, f"store {kind} %y, ptr %p", "ret void"])
    source = f"define void @ask(ptr %p) {{\n{body}\n}}"
    return target_machine().emit_assembly(llvm.parse_assembly(source))


@functools.cache
def vector_bytes() -> int:
    """Width of the target's vector registers: 64 (AVX-512), 32 (AVX2) or 16 (SSE, NEON).

    LLVM is asked by compiling one addition of 64 bytes: what registers does it take?
    """
    if level():
        return LEVELS[level()].vector_bytes
    assembly = _assembly("<16 x float>", "%y = fadd <16 x float> %x, %x")
    return 64 if "zmm" in assembly else 32 if "ymm" in assembly else 16


@functools.cache
def has_avx512(bits: int) -> bool:
    """Return whether the target has AVX-512's instructions for vectors of `bits`.

    That is AVX512F for 512 bits, AVX512VL for 256 and 128.  LLVM is asked by compiling
    ``x & 1 | 2``: does it take AVX-512's one instruction for two operations?
    """
    kind = f"<{bits // 32} x i32>"
    one, two = (f"splat (i32 {i})" for i in (1, 2))
    assembly = _assembly(kind, f"%a = and {kind} %x, {one}", f"%y = or {kind} %a, {two}")
    return "vpternlog" in assembly


@functools.cache  # LLVM takes 20 us to say for which processor it works
def vector_registers() -> int:
    """Vector registers of the target: 32 on AVX-512 and 64-bit ARM, else 16."""
    if level():
        return LEVELS[level()].vector_registers
    arm = target().triple.startswith(("aarch64", "arm64"))
    return 32 if arm or vector_bytes() == 64 else 16
