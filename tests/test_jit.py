"""The disk cache and the compile targets, each in a process of its own."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnn_fast
from rnn_fast.jit import (
    compiled,
    read_cache,
    target_machine,
    vector_bytes,
    write_cache,
)
from rnn_fast.jit.cache import _file
from rnn_fast.jit.program import with_aligned_stack

TANH = "0.46211715726"  # tanh(0.5)
PACKAGE = Path(rnn_fast.__file__).parent

SMALL = """
import sys
import numpy as np
from rnn_fast.jit import Program

def factory(dtype):
    from rnn_fast.simd import vector_math as vmath
    from rnn_fast.simd import load, store
    def program(x):
        store(x, vmath.tanh(load(x)))
    return program

if __name__ == "__main__":
    x = np.full(16, 0.5)
    Program("small", "factory", x="reals")("float64")(x.ctypes.data)
    print(round(x[0], 12), "numba" in sys.modules)
"""

GRADIENT = """
import numpy as np, rnn_fast
rng = np.random.default_rng(1)
X, y = rng.standard_normal((21, 7, 3)), rng.integers(0, 2, (21, 2))
model = rnn_fast.SimpleRNN(3, 13, 2, dtype="float64", seed=0)
loss, gradients = model.loss_and_gradients(X, y)
model.fit(X[:3], y[:3], epochs=1, batch_size=1, verbose=False)
print(rnn_fast.jit.vector_bytes(), f"{loss:.12f}", f"{gradients['Whh'].sum():.12f}",
      f"{model.Whh.sum():.12f}")
"""

COEXIST = """
import threading
import numpy as np, rnn_fast
from numba import njit

@njit
def early(a, b):
    return max(a, b) + min(a, 3)

def late():
    @njit
    def function(x):
        return x.sum() + max(len(x), 3) + min(len(x), 100)
    results.append(function(np.ones(5)))

results = [early(1, 2)]
thread = threading.Thread(target=late)
thread.start()
X = np.random.default_rng(0).standard_normal((20, 5, 2))
rnn_fast.SimpleRNN(2, 7, seed=0).fit(X, X[:, 0, 0] > 0, epochs=1, batch_size=10, verbose=False)
thread.join()
late()
print(*results)
"""


@pytest.fixture
def run(tmp_path):
    """Run a script against a copy of the package, so that it may be changed."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / "rnn_fast", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "small.py").write_text(SMALL)

    def start(code="import runpy; runpy.run_module('small', run_name='__main__')", **environment):
        settings = {
            **os.environ,
            "PYTHONPATH": str(site),
            "RNN_FAST_CACHE_DIR": str(tmp_path / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=site,
        )

    def finish(*arguments, **environment):
        process = start(*arguments, **environment)
        out, error = process.communicate()
        assert process.returncode == 0, error
        return out.split()

    finish.start, finish.site, finish.cache = start, site, tmp_path / "cache"
    return finish


def test_a_second_process_loads_the_code_without_numba(run):
    cold, warm = run(), run()
    assert cold == [TANH, "True"]
    assert warm == [TANH, "False"]
    assert len(list(run.cache.iterdir())) == 1


def test_an_edit_of_a_function_that_a_program_calls_is_seen(run):
    run()
    source = run.site / "rnn_fast" / "vmath.py"
    text = source.read_text()
    source.write_text(text.replace("return with_sign(e /", "return with_sign(2.0 * e /"))
    assert run() == ["0.92423431452", "True"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_FAST_CACHE_DIR", str(tmp_path / "cache"))
    code = bytes(range(256))
    return write_cache("some program", code), code


def test_a_damaged_file_is_not_run(cache):
    file, code = cache
    whole = file.read_bytes()
    assert read_cache("some program") == code
    for n in range(len(whole)):
        file.write_bytes(whole[:n])
        assert read_cache("some program") is None, f"truncated to {n}"
        file.write_bytes(whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :])
        assert read_cache("some program") is None, f"byte {n} flipped"
    file.write_bytes(whole)
    assert read_cache("some program") == code


def test_a_file_of_another_program_is_not_run(cache):
    file, _ = cache
    file.rename(_file(file.parent, "other program"))
    assert read_cache("other program") is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX permissions")
def test_a_directory_that_others_can_write_to_is_not_trusted(cache):
    file, code = cache
    file.parent.chmod(0o777)
    assert read_cache("some program") is None
    assert write_cache("some program", code) is None
    file.parent.chmod(0o755)
    assert read_cache("some program") == code


def test_no_place_to_write_means_memory_only(run):
    assert run(RNN_FAST_CACHE_DIR="/dev/null/nowhere") == [TANH, "True"]


def test_processes_that_start_at_once_do_not_disturb_each_other(run):
    processes = [run.start() for _ in range(2)]
    for process in processes:
        out, error = process.communicate()
        assert process.returncode == 0, error
        assert out.split()[0] == TANH
    assert [file.suffix for file in run.cache.iterdir()] == [".o"]
    assert run()[1] == "False"


def test_a_user_who_disables_jit_disables_it_for_himself(run):
    assert run(NUMBA_DISABLE_JIT="1") == [TANH, "True"]


def test_settings_of_the_compiler_are_part_of_the_key(run):
    run()
    assert run(NUMBA_OPT="1")[1] == "True"


@pytest.mark.skipif("x86_64" not in os.uname().machine, reason="names of x86 processors")
@pytest.mark.parametrize(("processor", "width"), [("haswell", 32), ("x86-64", 16)])
def test_narrower_targets(run, processor, width):
    """The same source at another vector width: gradients hold, training runs."""
    if vector_bytes() < width:
        pytest.skip("wider than this machine")
    if vector_bytes() == width:
        pytest.skip("as wide as this machine: all other tests are about it")
    assert run(GRADIENT, NUMBA_CPU_NAME=processor)[1:] == in_this_process()


def in_this_process():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(GRADIENT, {})
    return out.getvalue().split()[1:]


def test_other_code_of_numba_is_left_alone(run):
    """Compiled before, in another thread meanwhile, and after."""
    assert run(COEXIST) == ["3", "15.0", "15.0"]


def test_kernels_may_not_call_outside(run):
    def program(x):
        x[0] = 1 // int(x[1])  # would raise, in Python's error model, and builds no array
        print(x[0])

    with pytest.raises(RuntimeError, match="calls"):
        compiled(program, "float64", x="reals")


def test_spilled_registers_lie_in_one_cache_line():
    """More vectors than registers, all alive at once, go to places that are aligned."""
    import llvmlite.binding as llvm

    if vector_bytes() <= 16:
        pytest.skip("stacks are aligned to 16 bytes")
    vector = f"<{vector_bytes() // 4} x float>"
    loads = [f"%x{i} = load volatile {vector}, ptr %p" for i in range(40)]
    stores = [f"store volatile {vector} %x{i}, ptr %p" for i in range(40)]
    lines = "\n".join([*loads, *stores])
    source = f"define void @f(ptr %p) #0 {{\n{lines}\nret void\n}}\nattributes #0 = {{ nounwind }}"

    def spills(module, kind):
        assembly = target_machine().emit_assembly(module)
        return len(re.findall(rf"vmov{kind}p[sd]\s.*\d\(%r[sb]p\)", assembly))

    module = llvm.parse_assembly(source)
    assert spills(module, "u") > 0  # what there is to fear
    aligned = with_aligned_stack(module)
    assert spills(aligned, "u") == 0 and spills(aligned, "a") > 0
