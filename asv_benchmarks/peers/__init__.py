"""The same work written by an expert in NumPy, PyTorch and JAX, to be timed beside rnn_fast.

All train the network of a `problems.Row`: layers of tanh, GRU or LSTM cells from a state of zero,
with logits ``Why h_T + by``, or those of every step, on the mean binary cross-entropy, by exact
BPTT and plain SGD. Each module gives

``tutorial_runners(row, params, x (N, T, I), y (N, O), learning_rate)``
    an epoch of per-sample updates, in the order given;
``step_runners(row, params, x (K, B, T, I), y (K, B, O) or (K, B, T, O), learning_rate)``
    an epoch of K mini-batches (not for NumPy);
``loss_and_gradients(row, params, x (B, T, I), y (B, O) or (B, T, O))``
    the mean loss and its gradient by name, so that what is timed can be checked first (not for
    NumPy: `textbook` is what they are checked with).

The first two return ways to do the same, by name, of which the fastest counts. Whatever layout
of the data suits a framework best is prepared outside the time that is measured.

**One thread.** The limits below are read when a library starts, so import this package first. JAX
(0.10) has no documented one: with ``--xla_cpu_multi_thread_eigen=false`` and
``intra_op_parallelism_threads=1`` in ``XLA_FLAGS`` a product still keeps two cores busy.
``PJRT_NPROC=1`` makes its pool one thread, and so does pinning the process to one core beforehand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # and not at run time: NumPy must find the limits below
    import numpy as np

LIMITED = 1  # threads
for _limit in ("PJRT_NPROC", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_limit] = str(LIMITED)

Params = dict[str, "np.ndarray"]
Runner = Callable[[], Mapping[str, Any]]
"""Do one epoch more, block until it is done, and give the parameters it has reached."""
