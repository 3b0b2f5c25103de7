"""From a fresh interpreter to the first result, compiling (cold) or not (warm).

Each sample is a process of its own; its interpreter's start is not counted, NumPy's import is.
"""

import os
import subprocess
import sys
import tempfile

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


class Import:
    """`import rnn_fast`."""

    number, warmup_time, repeat = 1, 0.0, 7
    timeout = 60

    def timeraw_import(self) -> str:
        return "import rnn_fast"


class FirstFit:
    """Import and first `fit`, in mini-batches, or of an RNN per sample: a time loop of its own."""

    params = ("SimpleRNN, 1", "SimpleRNN, 32", "GRU, 32", "LSTM, 32")
    param_names = ("model, batch_size",)
    number, warmup_time = 1, 0.0
    timeout = 180


class Cold(FirstFit):
    """With an empty cache: everything is compiled."""

    repeat = 3

    def timeraw_first_fit(self, case: str) -> tuple[str, str]:
        return FIT.format(*case.split(", ")), EMPTY_CACHE


class Warm(FirstFit):
    """With a filled cache: the second process of a user, and every later one."""

    repeat = 7

    def setup(self, case: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        os.environ["RNN_FAST_CACHE_DIR"] = self.folder.name
        subprocess.run([sys.executable, "-c", FIT.format(*case.split(", "))], check=True)

    def teardown(self, case: str) -> None:
        self.folder.cleanup()

    def timeraw_first_fit(self, case: str) -> str:
        return FIT.format(*case.split(", "))
