"""The processor that code is made for."""

from __future__ import annotations

import functools
import os
from typing import Any


@functools.cache
def target() -> tuple[str, str]:
    """Return (processor, features) that code is made for, in LLVM's words.

    The host's, unless ``NUMBA_CPU_NAME`` or ``NUMBA_CPU_FEATURES`` say otherwise.
    """
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME", "")
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name not in ("", "host") else llvm.get_host_cpu_features().flatten()
    return (name if name not in ("", "host") else llvm.get_host_cpu_name()), features


def target_machine() -> Any:
    """Return LLVM's machine for the target."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = target()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="small", jit=True
    )


@functools.cache
def vector_bytes() -> int:
    """Width of the target's vector registers: 64 (AVX-512), 32 (AVX2) or 16 (SSE, NEON).

    LLVM is asked by compiling one addition of 64 bytes: what registers does it take?
    """
    import llvmlite.binding as llvm

    source = """define void @add(ptr %p) {
        %x = load <16 x float>, ptr %p
        %y = fadd <16 x float> %x, %x
        store <16 x float> %y, ptr %p
        ret void }"""
    assembly = target_machine().emit_assembly(llvm.parse_assembly(source))
    return 64 if "zmm" in assembly else 32 if "ymm" in assembly else 16


def vector_registers() -> int:
    """Vector registers of the target: 32 on AVX-512 and 64-bit ARM, else 16."""
    import llvmlite.binding as llvm

    arm = llvm.get_process_triple().startswith(("aarch64", "arm64"))
    return 32 if arm or vector_bytes() == 64 else 16
