"""Time from a new interpreter to the first result, with (cold) or without (warm) compilation.

Each sample is a separate process.  Plain times leave out the start of the interpreter.  Tracked
times are divided by the time of a process that only imports NumPy; both run in turn.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from statistics import median
from time import perf_counter

from .measure import PREPARING
from .turns import Turns

FIT = """
import numpy as np, rnn_fast
X = np.random.default_rng(0).standard_normal((64, 10, 1))
y = (X.sum((1, 2)) > 0).astype(np.int64)
rnn_fast.{}(1, 32, seed=0).fit(X, y, epochs=1, batch_size={}, verbose=False)
"""

EMPTY_CACHE = """
import os, tempfile
cache = tempfile.TemporaryDirectory()
os.environ["RNN_FAST_CACHE_DIR"] = cache.name
"""


def seconds(code: str) -> float:
    """Return the seconds that a process with `code` takes."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return perf_counter() - start


def beside_numpy(code: str, pairs: int) -> float:
    """Return the median of: time of a process with `code` / time of one that imports NumPy."""
    if PREPARING:
        return math.inf
    found = []
    with Turns() as turns:
        for _ in range(pairs):
            turns.take()
            before, took, after = map(seconds, ("import numpy", code, "import numpy"))
            found.append(2 * took / (before + after))
    return median(found)


class Import:
    """Time of `import rnn_fast`."""

    number, warmup_time, repeat = 1, 0.0, 7
    timeout = 60
    unit = "import numpy"

    def timeraw_import(self) -> str:
        return "import rnn_fast"

    def track_import(self) -> float:
        return beside_numpy("import rnn_fast", 5)


class FirstFit:
    """Import and first `fit`, in mini-batches, or per sample with the single driver."""

    params = ("SimpleRNN, 1", "SimpleRNN, 32", "GRU, 32", "LSTM, 32")
    param_names = ("model, batch_size",)
    number, warmup_time = 1, 0.0
    timeout = 180


class Cold(FirstFit):
    """Import and first `fit` with an empty cache, so everything is compiled."""

    repeat = 3

    def timeraw_first_fit(self, case: str) -> tuple[str, str]:
        return FIT.format(*case.split(", ")), EMPTY_CACHE


class Warm(FirstFit):
    """Import and first `fit` with a filled cache, as in a user's second process."""

    repeat = 7

    def setup(self, case: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        os.environ["RNN_FAST_CACHE_DIR"] = self.folder.name
        subprocess.run([sys.executable, "-c", FIT.format(*case.split(", "))], check=True)

    def teardown(self, case: str) -> None:
        self.folder.cleanup()

    def timeraw_first_fit(self, case: str) -> str:
        return FIT.format(*case.split(", "))


class WarmRatio:
    """Import and first `fit`, tracked, with the programs in the commit's cache."""

    params = ("SimpleRNN, 1", "LSTM, 32")
    param_names = ("model, batch_size",)
    timeout = 60
    unit = "import numpy"

    def setup(self, case: str) -> None:
        seconds(FIT.format(*case.split(", ")))

    def track_first_fit(self, case: str) -> float:
        return beside_numpy(FIT.format(*case.split(", ")), 3)


class Compile:
    """Import and first `fit` with an empty cache; one sample, because it takes seconds."""

    timeout = 120
    unit = "import numpy, once"

    def track_first_fit(self) -> float:
        return beside_numpy(EMPTY_CACHE + FIT.format("LSTM", 32), 1)
