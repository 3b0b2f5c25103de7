"""Levels of processors, the question to the processor, and the choice of a level."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np
import pytest

from rnn_fast.jit.levels import ANSWERS, LEVELS, family, highest, model_of
from rnn_fast.jit.shipped import answers

x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="levels of x86-64")

#: places in the answers, and bits, by LLVM's names of features
FEATURES = {
    "sse3": (6, 0),
    "ssse3": (6, 9),
    "fma": (6, 12),
    "cx16": (6, 13),
    "sse4.1": (6, 19),
    "sse4.2": (6, 20),
    "movbe": (6, 22),
    "popcnt": (6, 23),
    "avx": (6, 28),
    "f16c": (6, 29),
    "bmi": (9, 3),
    "avx2": (9, 5),
    "bmi2": (9, 8),
    "avx512f": (9, 16),
    "avx512dq": (9, 17),
    "avx512cd": (9, 28),
    "avx512bw": (9, 30),
    "avx512vl": (9, 31),
    "sahf": (14, 0),
    "lzcnt": (14, 5),
}
V3 = [name for name in FEATURES if not name.startswith("avx512")]


ADDITION = """
define void @ask(ptr %p) {
    %x = load <16 x float>, ptr %p
    %y = fadd <16 x float> %x, %x
    store <16 x float> %y, ptr %p
    ret void
}
"""


def told(*features, states=0xE7):
    """Answers of a processor with some features, whose system keeps registers of `states`."""
    words = np.zeros(ANSWERS, np.uint32)
    for name in features:
        word, bit = FEATURES[name]
        words[word] |= 1 << bit
    words[6] |= 1 << 27  # the system says which registers it keeps
    words[16] = states
    return words


def asked(code, **environment):
    """What a process prints."""
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True
    )


@x86
def test_the_processor_says_what_llvm_says():
    found, host = answers(), llvm.get_host_cpu_features()
    for name, (word, bit) in FEATURES.items():
        assert bool(found[word] >> bit & 1) == host[name], name


@x86
@pytest.mark.parametrize(
    ("features", "states", "wanted"),
    [
        ((), 0x7, 2),
        (V3, 0x7, 1),
        (V3, 0x3, 2),  # a system that does not keep AVX's registers
        (FEATURES, 0xE7, 0),
        (FEATURES, 0x7, 1),  # nor AVX-512's
        ([name for name in FEATURES if name != "movbe"], 0xE7, 2),
        ([name for name in FEATURES if name != "avx512vl"], 0xE7, 1),
    ],
)
def test_the_highest_level_needs_all_its_features_and_the_system(features, states, wanted):
    assert highest(told(*features, states=states)) == family()[wanted]


def test_kinds_of_processors_that_tiles_are_chosen_after():
    vendor = np.frombuffer(b"AuthenticAMD", "<u4")
    words = told(*FEATURES)
    words[[1, 3, 2]] = vendor  # as in ebx, edx, ecx
    words[4] = 0x00A60F12  # family 25
    assert model_of(words) == "znver4"
    words[9] &= ~np.uint32(1 << 16)  # without AVX-512: the one before
    assert model_of(words) == ""
    words = told(*FEATURES)
    words[[1, 3, 2]] = np.frombuffer(b"GenuineIntel", "<u4")
    words[4] = 0x00A60F12
    assert model_of(words) == ""


@pytest.mark.parametrize("name", LEVELS)
def test_registers_of_a_level_are_those_that_llvm_takes(name):
    """One addition of 64 bytes takes as many instructions as it takes registers."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(LEVELS[name].target.triple).create_target_machine(
        cpu=LEVELS[name].target.processor, features=LEVELS[name].target.features
    )
    module = llvm.parse_assembly(ADDITION)
    lines = machine.emit_assembly(module).splitlines()
    additions = sum("addps" in line or "fadd" in line for line in lines)
    assert additions == 64 // LEVELS[name].vector_bytes


def test_a_name_that_is_no_level_is_refused():
    out = asked("from rnn_fast.jit import level; level()", RNN_FAST_TARGET="avx2")
    assert "RNN_FAST_TARGET must be one of host, x86-64-v4" in out.stderr
    assert "got 'avx2'" in out.stderr


def test_code_for_another_machine_is_made_and_not_run():
    foreign = "x86-64" if family() == ["aarch64"] else "aarch64"
    code = """
from rnn_fast.jit import level, vector_registers
from rnn_fast.jit.shipped import check_runs
print(level(), vector_registers())
check_runs()
"""
    out = asked(code, RNN_FAST_TARGET=foreign)
    assert out.stdout.split() == [foreign, str(LEVELS[foreign].vector_registers)]
    assert f"RuntimeError: this processor cannot run code for {foreign}" in out.stderr


@pytest.mark.skipif(not family(), reason="no level for this machine")
def test_a_level_can_be_chosen():
    lowest = family()[-1]
    code = "from rnn_fast.jit import level, target; print(level(), target().processor)"
    out = asked(code, RNN_FAST_TARGET=lowest)
    assert out.stdout.split() == [lowest, LEVELS[lowest].target.processor]
    out = asked("from rnn_fast.jit import level; print(repr(level()))", RNN_FAST_TARGET="host")
    assert out.stdout.strip() == "''"
