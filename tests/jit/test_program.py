"""Programs and compile targets, each in a process of its own."""

import contextlib
import io
import os
import re
from pathlib import Path

import pytest

import rnn_fast
from rnn_fast.jit import compiled, target_machine, vector_bytes
from rnn_fast.jit.compilation import with_aligned_stack
from rnn_fast.jit.sources import FLOORS

WORKERS = """
import numpy as np
from joblib import Parallel, delayed

def work(i):
    import sys
    import numpy as np
    from rnn_fast.jit import Program
    x = np.full(16, 0.5)
    Program("small", "factory", x="reals")("float64")(x.ctypes.data)
    return round(x[0], 12), "numba" in sys.modules

for value in Parallel(n_jobs=2)(delayed(work)(i) for i in range(2)):
    print(*value)
"""

MODULES = """
import sys
from rnn_fast.engine.operations import BATCH_EPOCH, SINGLE_EPOCH
before = set(sys.modules)
import rnn_fast.kernels.batch.program, rnn_fast.kernels.single.program
for module in sorted(set(sys.modules) - before):
    if module.startswith("rnn_fast."):
        print(module.split(".")[1])
"""

TANH = "0.46211715726"  # tanh(0.5)
PACKAGE = Path(rnn_fast.__file__).parent

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


def test_a_second_process_loads_the_code_without_numba(run):
    cold, warm = run(), run()
    assert cold == [TANH, "True"]
    assert warm == [TANH, "False"]
    assert len(list(run.cache.iterdir())) == 1


def test_an_edit_of_a_function_that_a_program_calls_is_seen(run):
    run()
    source = run.site / "rnn_fast" / "simd" / "vector_math.py"
    text = source.read_text()
    source.write_text(text.replace("return with_sign(e /", "return with_sign(2.0 * e /"))
    assert run() == ["0.92423431452", "True"]


def test_no_place_to_write_means_memory_only(run):
    assert run(RNN_FAST_CACHE_DIR="/dev/null/nowhere") == [TANH, "True"]


@pytest.mark.parametrize("n_threads", ["1", "2"])
def test_the_number_of_numbas_threads_is_no_part_of_the_key(run, n_threads):
    run()
    assert run(NUMBA_NUM_THREADS=n_threads)[1] == "False"
    assert len(list(run.cache.iterdir())) == 1


def test_workers_of_joblib_load_what_another_process_compiled(run):
    pytest.importorskip("joblib")
    run()
    assert run(WORKERS) == [TANH, "False"] * 2
    assert len(list(run.cache.iterdir())) == 1


def test_an_edit_outside_the_compiled_floors_compiles_nothing(run):
    run()
    for name in ("cli/main.py", "data/readers.py", "models/base.py", "training/history.py"):
        with open(run.site / "rnn_fast" / name, "a") as file:
            file.write("# a comment\n")
    assert run()[1] == "False"


def test_compiling_imports_the_floors_of_the_key_and_little_else(run):
    """A module that shapes code and is no part of the key would let old code run."""
    loaded = set(run(MODULES))
    assert {"kernels", "cells"} <= loaded
    assert loaded <= {*FLOORS, "__init__", "validation"}


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
