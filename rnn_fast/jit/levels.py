"""Levels of processors that code is made for ahead of time, and which of them this one has.

A level is a set of instructions that many processors have, after the x86-64 psABI.  The question is
put to the processor itself, by a few instructions that all have, so that no list of names goes
stale and no guess is wrong.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Target(NamedTuple):
    """The processor that code is made for, in LLVM's words."""

    triple: str
    processor: str
    features: str


class Level(NamedTuple):
    """A set of instructions, and the conventions of calls of a system."""

    target: Target
    vector_bytes: int  #: width of vector registers
    vector_registers: int
    needs: Callable[[np.ndarray], bool]  #: of `PROBE`'s answers


#: places in the probe's answers: of leaves 1, 7 and 0x80000001 of ``cpuid``, and of ``xgetbv``
_EAX1, _ECX1, _EBX7, _ECX_EXTENDED, _STATES = 4, 6, 9, 14, 16
#: of x86-64-v3: SSE3, SSSE3, FMA, CX16, SSE4.1 and 2, MOVBE, POPCNT, OSXSAVE, AVX, F16C; BMI1,
#: AVX2, BMI2; LAHF, LZCNT; and the system keeps SSE's and AVX's registers
_V3 = {
    _ECX1: (0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29),
    _EBX7: (3, 5, 8),
    _ECX_EXTENDED: (0, 5),
    _STATES: (1, 2),
}
#: of x86-64-v4: AVX512F, DQ, CD, BW, VL; and the system keeps AVX-512's registers
_V4 = {_EBX7: (16, 17, 28, 30, 31), _STATES: (5, 6, 7)}
_AVX512 = 16  #: AVX512F's bit
_AMD = (0x68747541, 0x444D4163, 0x69746E65)  #: "AuthenticAMD" in ebx, ecx, edx of leaf 0


def _has(answers: np.ndarray, bits: dict[int, tuple[int, ...]]) -> bool:
    return all(answers[word] >> bit & 1 for word, some in bits.items() for bit in some)


def _levels() -> dict[str, Level]:
    """Return the levels by name, in each family from the highest down."""
    kinds: tuple[tuple[str, int, int, Callable[[np.ndarray], bool]], ...] = (
        ("x86-64-v4", 64, 32, lambda answers: _has(answers, _V3) and _has(answers, _V4)),
        ("x86-64-v3", 32, 16, lambda answers: _has(answers, _V3)),
        ("x86-64", 16, 16, lambda answers: True),
    )
    # LLVM can load no COFF but near the interpreter, so Windows' code is ELF with its conventions.
    systems = {"": "x86_64-unknown-linux-gnu", "-windows": "x86_64-pc-windows-msvc-elf"}
    levels = {
        name + end: Level(Target(triple, name, ""), width, registers, needs)
        for end, triple in systems.items()
        for name, width, registers, needs in kinds
    }
    # One level for all systems: they differ in x18 alone, which macOS and Windows keep for
    # themselves.
    arm = Target("aarch64-unknown-linux-gnu", "generic", "+neon,+reserve-x18")
    return {**levels, "aarch64": Level(arm, 16, 32, lambda answers: True)}


LEVELS = _levels()


def family() -> list[str]:
    """Return the levels for the machine and the system of this process, from the highest down."""
    machine = platform.machine().lower()
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return []
    if machine in ("arm64", "aarch64"):
        return ["aarch64"]
    if machine not in ("x86_64", "amd64"):
        return []
    end = "-windows" if sys.platform == "win32" else ""
    return [f"x86-64{level}{end}" for level in ("-v4", "-v3", "")]


#: the program that asks an x86-64 processor: it fills 17 words of 32 bits
PROBE = """
define void @program(ptr %out) {{
    %leaves = call i32 @ask(ptr %out, i32 0, i32 0)
    %x = call i32 @ask(ptr %out, i32 1, i32 4)
    %has7 = icmp uge i32 %leaves, 7
    br i1 %has7, label %seven, label %extended
seven:
    %y = call i32 @ask(ptr %out, i32 7, i32 8)
    br label %extended
extended:
    %z = call i32 @ask(ptr %out, i32 -2147483647, i32 12)
    %place = getelementptr i32, ptr %out, i64 6
    %features = load i32, ptr %place
    %saves = and i32 %features, 134217728
    %knows = icmp ne i32 %saves, 0
    br i1 %knows, label %states, label %end
states:
    %pair = call {{ i32, i32 }} asm sideeffect "xgetbv", "={{ax}},={{dx}},{{cx}}"(i32 0)
    %low = extractvalue {{ i32, i32 }} %pair, 0
    %last = getelementptr i32, ptr %out, i64 16
    store i32 %low, ptr %last
    br label %end
end:
    ret void
}}
define internal i32 @ask(ptr %out, i32 %leaf, i32 %at) {{
    %four = call {{ i32, i32, i32, i32 }} asm sideeffect "cpuid",
        "={{ax}},={{bx}},={{cx}},={{dx}},{{ax}},{{cx}}"(i32 %leaf, i32 0)
{stores}
    %first = extractvalue {{ i32, i32, i32, i32 }} %four, 0
    ret i32 %first
}}
"""
_STORE = """
    %v{i} = extractvalue {{ i32, i32, i32, i32 }} %four, {i}
    %i{i} = add i32 %at, {i}
    %p{i} = getelementptr i32, ptr %out, i32 %i{i}
    store i32 %v{i}, ptr %p{i}
"""
ANSWERS = 17


def probe_source() -> str:
    """Return `PROBE` as LLVM reads it."""
    return PROBE.format(stores="".join(_STORE.format(i=i) for i in range(4)))


def highest(answers: np.ndarray) -> str:
    """Return the highest level of this processor's family that it has.

    answers : (ANSWERS,) uint32 array
        Of the probe; anything on a machine that has but one level.
    """
    return next(name for name in family() if LEVELS[name].needs(answers))


def model_of(answers: np.ndarray) -> str:
    """Return LLVM's name of the processor, if its tiles are chosen after its kind; else ""."""
    version = int(answers[_EAX1])
    kind = (version >> 8 & 15) + (version >> 20 & 255)
    amd = tuple(int(answers[i]) for i in (1, 2, 3)) == _AMD
    return "znver4" if amd and kind == 25 and answers[_EBX7] >> _AVX512 & 1 else ""


@functools.cache
def wanted() -> str:
    """Return the level that ``RNN_FAST_TARGET`` names; "host", or "" if it says nothing.

    Raises
    ------
    ValueError
        It names none.
    """
    name = os.environ.get("RNN_FAST_TARGET", "")
    if name not in ("", "host", *LEVELS):
        names = ", ".join(("host", *LEVELS))
        raise ValueError(f"RNN_FAST_TARGET must be one of {names}; got {name!r}")
    return name
