"""Denormals are zero within programs, and nothing of that is left outside."""

from __future__ import annotations

import contextlib
import ctypes
import platform

import llvmlite.binding as llvm
import numpy as np
import pytest

from rnn_fast import LSTM
from rnn_fast.engine.threads import Helper
from rnn_fast.errors import DivergedError
from rnn_fast.jit import compiled, has_flags
from rnn_fast.jit.denormals import flush_denormals
from rnn_fast.jit.program import emitted, link

x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads MXCSR")
flags = pytest.mark.skipif(not has_flags(llvm.get_process_triple()), reason="target has no flags")


def control(name):
    """Return a C function that reads the control register MXCSR, or writes it."""
    source = f"""define void @program(ptr %p) {{
        call void @llvm.x86.sse.{name}(ptr %p)
        ret void }}
        declare void @llvm.x86.sse.{name}(ptr)"""
    return link(emitted(llvm.parse_assembly(source)), {"p": "integers"})


class Register:
    """The control register MXCSR of the calling thread."""

    def __init__(self):
        self._read, self._write = control("stmxcsr"), control("ldmxcsr")
        self._memory = np.zeros(1, np.uint32)

    @property
    def value(self):
        self._read(self._memory.ctypes.data)
        return int(self._memory[0])

    @value.setter
    def value(self, value):
        self._memory[0] = value
        self._write(self._memory.ctypes.data)


@pytest.fixture
def register():
    register = Register()
    before = register.value
    yield register
    register.value = before


def halving(dtype):
    def program(x):
        x[1] = x[0] * 0.5
        x[3] = x[2] + x[2]

    return compiled(program, dtype, x="reals")


@flags
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormal_results_and_operands_are_zero(dtype):
    limits = np.finfo(dtype)
    x = np.array([limits.tiny, 1, limits.smallest_subnormal, 1], dtype)
    halving(dtype)(x.ctypes.data)
    np.testing.assert_array_equal(x, [limits.tiny, 0, limits.smallest_subnormal, 0])


@x86
@pytest.mark.parametrize("before", [0x1F80, 0x9FC0, 0x3F80, 0x7FA0])
def test_the_register_of_a_caller_stays_as_it_was(register, before):
    """Also with denormals flushed already, another rounding, or exceptions noted."""
    run, x = halving("float64"), np.array([1e-308, 0, 1 / 3, 0])
    register.value = before
    run(x.ctypes.data)
    assert register.value == before


@flags
def test_the_entry_for_other_programs_leaves_denormals_to_them():
    run = halving("float64")
    tiny = np.finfo(float).tiny
    x = np.array([tiny, 1, 1, 1])
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(run.inner)(x.ctypes.data)
    assert x[1] == tiny / 2


@x86
@pytest.mark.parametrize("learning_rate", [0.01, 1e30])
def test_a_fit_and_a_prediction_leave_the_register_alone(register, learning_rate):
    """Also a fit that ends early, since its loss is not finite."""
    X = np.random.default_rng(0).standard_normal((70, 5, 2))
    model, before = LSTM(2, 4, loss="mse", seed=0), register.value
    settings = {"learning_rate": learning_rate, "verbose": False, "n_threads": 2}
    diverges = pytest.raises(DivergedError) if learning_rate > 1 else contextlib.nullcontext()
    with diverges:
        model.fit(X, X.sum((1, 2)), epochs=9, batch_size=70, **settings)
    assert register.value == before
    model.predict(X)
    assert register.value == before
    assert np.float64(5e-324) * 1.0 > 0.0


@x86
def test_each_thread_sets_its_own_register(register):
    found, helper, run = [], Helper(), halving("float64")

    def work():
        x = np.array([np.finfo(float).tiny, 1, 1, 1])
        before = register.value
        run(x.ctypes.data)
        found.extend([x[1], register.value == before])

    helper.begin(work)
    helper.wait()
    helper.end()
    assert found == [0.0, True]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "arm64", "riscv64"])
def test_code_of_other_processors(machine):
    function = "define void @program(ptr %p, i64 %n, double %x) { ret void }"
    module = llvm.parse_assembly(f'target triple = "{machine}-unknown-none"\n{function}')
    flush_denormals(module, "program")
    module.verify()
    calls = [f.name for f in module.functions if f.name.startswith("llvm.")]
    assert bool(calls) == has_flags(module.triple)
    assert str(module).count("call void @program.inner(ptr %x0, i64 %x1, double %x2)") == 1
