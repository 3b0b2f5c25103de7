"""Object files for Windows, loaded into this process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from rnn_fast.jit import target_machine, vector_bytes
from rnn_fast.jit.compilation import optimised
from rnn_fast.jit.program import link, signature
from rnn_fast.jit.target import object_triple

ARGUMENTS = {"x": "reals"}


def program():
    from rnn_fast.simd import load, store
    from rnn_fast.simd import vector_math as vmath

    def program(x):
        store(x, vmath.tanh(load(x)))

    return optimised(program, signature("float64", ARGUMENTS))


def test_only_windows_needs_another_format():
    assert object_triple("x86_64-pc-windows-msvc") == "x86_64-pc-windows-msvc-elf"
    assert object_triple("x86_64-unknown-linux-gnu") == "x86_64-unknown-linux-gnu"
    assert object_triple("arm64-apple-darwin23.1.0") == "arm64-apple-darwin23.1.0"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="code of x86")
def test_code_for_windows_can_be_loaded_and_gives_the_same_bits():
    """A caller made for this system passes arguments as Windows does."""
    import llvmlite.binding as llvm

    code = target_machine("x86_64-pc-windows-msvc").emit_object(program())
    assert code[:4] == b"\x7fELF"
    windows = link(code, ARGUMENTS)
    address = windows.engine.get_function_address("program")
    caller = f"""define void @program(ptr %x) {{
        call win64cc void inttoptr (i64 {address} to ptr)(ptr %x)
        ret void }}"""
    called = link(target_machine().emit_object(llvm.parse_assembly(caller)), ARGUMENTS)
    here = link(target_machine().emit_object(program()), ARGUMENTS)
    before = np.linspace(-2.0, 2.0, vector_bytes() // 8)
    x, y = before.copy(), before.copy()
    called(x.ctypes.data)
    here(y.ctypes.data)
    assert x.tobytes() == y.tobytes()
    np.testing.assert_allclose(x, np.tanh(before))


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
