"""The disk cache and the compile targets, each in a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnn_fast
from rnn_fast import _jit

TANH = "0.46211715726"  # tanh(0.5)
PACKAGE = Path(rnn_fast.__file__).parent

SMALL = """
import sys
import numpy as np
from rnn_fast._jit import Program

def factory(dtype):
    from rnn_fast import vmath
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
model = rnn_fast.SimpleRNN(3, 13, 2, dtype="float64", seed=0)
rng = np.random.default_rng(1)
X, y = rng.standard_normal((21, 7, 3)), rng.integers(0, 2, (21, 2))
loss, gradients = model.loss_and_gradients(X, y)
h = 1e-6
for name in ("Wxh", "Whh", "bh", "Why", "by"):
    view = model.parameters[name]
    at = (0,) * view.ndim
    view[at] += h
    up = model.evaluate(X, y)["loss"]
    view[at] -= 2 * h
    down = model.evaluate(X, y)["loss"]
    view[at] += h
    assert abs((up - down) / (2 * h) - gradients[name][at]) < 1e-8, name
model.fit(X, y, epochs=2, batch_size=1, verbose=False)
print(rnn_fast._jit.vector_bytes(), round(loss, 12))
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


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "swapped"])
def test_a_damaged_file_is_not_run(run, damage):
    run()
    (file,) = run.cache.iterdir()
    data = bytearray(file.read_bytes())
    if damage == "truncated":
        data = data[:-9]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "empty":
        data = b""
    else:  # the file of another program: its key differs
        data[len(_jit.MAGIC) + 3] ^= 1
    file.write_bytes(data)
    assert run() == [TANH, "True"]
    assert run() == [TANH, "False"]


def test_no_place_to_write_means_memory_only(run):
    assert run(RNN_FAST_CACHE_DIR="/dev/null/nowhere") == [TANH, "True"]
    assert run(RNN_FAST_CACHE_DIR="/dev/null/nowhere") == [TANH, "True"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX permissions")
def test_a_directory_that_others_can_write_to_is_not_trusted(run):
    run()
    run.cache.chmod(0o777)
    assert run() == [TANH, "True"]


def test_processes_that_start_at_once_do_not_disturb_each_other(run):
    processes = [run.start() for _ in range(4)]
    for process in processes:
        out, error = process.communicate()
        assert process.returncode == 0, error
        assert out.split()[0] == TANH
    assert [file.suffix for file in run.cache.iterdir()] == [".o"]
    assert run()[1] == "False"


def test_settings_of_the_compiler_are_part_of_the_key(run):
    run()
    assert run(NUMBA_OPT="1")[1] == "True"


@pytest.mark.skipif("x86_64" not in os.uname().machine, reason="names of x86 processors")
@pytest.mark.parametrize(("processor", "width"), [("haswell", 32), ("x86-64", 16)])
def test_narrower_targets(run, processor, width):
    """The same source at another vector width: gradients hold, training runs."""
    if _jit.vector_bytes() < width:
        pytest.skip("wider than this machine")
    assert run(GRADIENT, NUMBA_CPU_NAME=processor) == [str(width), run(GRADIENT)[1]]


def test_kernels_may_not_call_outside(run):
    def program(x):
        x[0] = 1 // int(x[1])  # would raise, in Python's error model, and builds no array
        print(x[0])

    with pytest.raises(RuntimeError, match="calls"):
        _jit.compiled(program, "float64", x="reals")
