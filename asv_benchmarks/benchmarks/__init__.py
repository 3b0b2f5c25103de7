"""Costs of rnn_fast, by subject; see ``asv_benchmarks/README.md``.

All benchmarks run on one thread on one core.  Thread limits are set before NumPy is imported, and
the process binds itself to the core that is least busy now.  Compiled programs are kept by commit,
so each commit compiles a program only once.
"""

import os

from . import cores

for name in (
    "RNN_FAST_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
):
    os.environ[name] = "1"

if "ASV_COMMIT" in os.environ and "ASV_ENV_DIR" in os.environ:
    os.environ.setdefault(
        "RNN_FAST_CACHE_DIR",
        os.path.join(os.environ["ASV_ENV_DIR"], "programs", os.environ["ASV_COMMIT"]),
    )

if "RNN_FAST_BENCH_PREPARE" not in os.environ:  # the gate compiles on all cores
    cores.bind()
