"""Code for other systems and processors."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from rnn_fast.jit.executable import Executable
from rnn_fast.jit.image import Image
from rnn_fast.jit.program import emitted, link
from rnn_fast.jit.target import object_triple

#: compiles a tanh for the level of the environment, and prints its image
TANH = """
import sys
from rnn_fast.jit.compilation import optimised
from rnn_fast.jit.program import emitted, signature
from rnn_fast.simd import load, store, vector_math

def program(x):
    store(x, vector_math.tanh(load(x)))

module = optimised({"program": program}, signature("float64", {"x": "reals"}))
sys.stdout.write(emitted(module).hex())
"""


def tanh_for(level):
    """The image of a tanh for a level, which another process has compiled."""
    out = subprocess.run(
        [sys.executable, "-c", TANH],
        env=os.environ | {"RNN_FAST_TARGET": level},
        capture_output=True,
        text=True,
        check=True,
    )
    return Image.unpacked(bytes.fromhex(out.stdout))


def test_objects_are_elf_on_every_system():
    assert object_triple("x86_64-pc-windows-msvc") == "x86_64-pc-windows-msvc-elf"
    assert object_triple("x86_64-unknown-linux-gnu") == "x86_64-unknown-linux-gnu"
    assert object_triple("arm64-apple-darwin23.1.0") == "arm64-unknown-linux-gnu"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="code of x86")
def test_code_for_windows_can_be_loaded_and_gives_the_same_bits():
    """A caller made for this system passes arguments as Windows does."""
    import llvmlite.binding as llvm

    windows, here = (Executable(tanh_for(level)) for level in ("x86-64-windows", "x86-64"))
    caller = f"""define void @program(ptr %x) {{
        call win64cc void inttoptr (i64 {windows.address("program")} to ptr)(ptr %x)
        ret void }}"""
    called = link(emitted(llvm.parse_assembly(caller)), {"x": "reals"})
    before = np.array([-2.0, 0.3])  # a register of the lowest level
    x, y = before.copy(), before.copy()
    called(x.ctypes.data)
    here.function("program", "reals")(y.ctypes.data)
    assert x.tobytes() == y.tobytes()
    np.testing.assert_allclose(x, np.tanh(before))


def test_code_for_arm_has_no_address_outside_itself():
    image = tanh_for("aarch64")
    code = image.linked().view("<u4")
    assert len(image.places) > 0  # constants
    assert code[image.entries["program"] // 4] != 0


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")
@pytest.mark.parametrize(
    ("processor", "widths"),
    [("skylake-avx512", "[128, 256, 512]"), ("knl", "[512]"), ("haswell", "[]")],
)
def test_widths_of_avx512(processor, widths):
    ask = "from rnn_fast.jit import has_avx512 as f; print([n for n in (128, 256, 512) if f(n)])"
    out = subprocess.run(
        [sys.executable, "-c", ask],
        env=os.environ | {"NUMBA_CPU_NAME": processor},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == widths
