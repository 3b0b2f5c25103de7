"""What rnn_fast costs: training at rest, and the way from nothing to the first result.

One thread everywhere: the libraries that could start more are told so before NumPy is imported,
here as in the configuration's matrix, so that ``asv run --python=same`` measures the same.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
