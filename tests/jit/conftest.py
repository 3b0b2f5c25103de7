"""A copy of the package that tests may change, and scripts that run against it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnn_fast

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
