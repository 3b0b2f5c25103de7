"""Peak resident memory of a separate process, in MiB, with the interpreter."""

from __future__ import annotations

import subprocess
import sys

# VmHWM is preferred, because `ru_maxrss` of a child starts from its parent's value.
PEAK = """
import os, resource, sys
if os.path.exists("/proc/self/status"):
    lines = open("/proc/self/status").read().splitlines()
    print(next(line for line in lines if line.startswith("VmHWM")).split()[1])
else:
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(size // 1024 if sys.platform == "darwin" else size)
"""
CASES = {
    "interpreter and NumPy": "import numpy",
    "import": "import rnn_fast",
    "fit": """
import numpy as np, rnn_fast
X = np.random.default_rng(0).standard_normal((512, 100, 8)).astype(np.float32)
y = (X.sum((1, 2)) > 0).astype(np.int64)
rnn_fast.LSTM(8, 64, seed=0).fit(X, y, epochs=1, batch_size=256, verbose=False)
""",
    "predict": """
import numpy as np, rnn_fast
X = np.random.default_rng(0).standard_normal((2000, 100, 8)).astype(np.float32)
rnn_fast.LSTM(8, 64, seed=0).predict(X)
""",
}


class Peak:
    """Peak memory, with all programs compiled before."""

    params = tuple(CASES)
    param_names = ("case",)
    unit = "MiB"
    timeout = 120

    def setup(self, case: str) -> None:
        self.peak(case)  # compiles

    def peak(self, case: str) -> float:
        command = [sys.executable, "-c", CASES[case] + PEAK]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return int(out) / 1024

    def track_peak(self, case: str) -> float:
        return self.peak(case)
