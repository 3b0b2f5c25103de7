"""Time of a training step relative to PyTorch, JAX, Keras and NumPy, on the field grid.

The contenders come from `rnn-fast bench`.  Results are checked first, and contenders take turns in
one process.  Only forms that compile quickly take part, and the fastest one counts.

Peers that are not installed are skipped, so asv's environment measures only NumPy.  For all
installed peers, run ``asv run --python=same --bench peers``.  The gate leaves this module out,
because peers do not depend on the commit.
"""

from __future__ import annotations

import importlib
import os
from statistics import median

ROUNDS = 5


class Lead:
    """Time of rnn_fast / time of a peer, the median over interleaved rounds."""

    params = (
        ("PyTorch", "JAX", "Keras", "NumPy"),
        ("tutorial", "hydrology", "neuro", "control"),
    )
    param_names = ("peer", "size")
    unit = "of the peer's time"
    timeout = 300

    def setup(self, peer: str, size: str) -> None:
        from rnn_fast.bench import contenders, peers
        from rnn_fast.bench.checks import Truth
        from rnn_fast.bench.problems import Problem
        from rnn_fast.bench.rows import FIELD

        os.environ.update(peers.ONE_THREAD)
        try:
            module = importlib.import_module(f"rnn_fast.bench.peers.{peers.PEERS[peer]}")
        except ModuleNotFoundError as error:
            raise NotImplementedError(f"{peer} is not installed") from error
        truth = Truth(Problem.draw(FIELD[size], quick=True))
        self.ours = contenders.ours(truth)[0]
        found, notes = contenders.theirs(peer, module, truth, True, silent)
        if notes:
            raise RuntimeError("; ".join(notes))
        if not found:
            raise NotImplementedError(f"{peer} has no part in {size}")
        self.theirs = found[0]

    def track_lead(self, peer: str, size: str) -> float:
        from rnn_fast.bench.timing import interleave

        interleave([self.ours, self.theirs], ROUNDS)
        return median(a / b for a, b in zip(self.ours.seconds, self.theirs.seconds, strict=True))


def silent(text: str) -> None:
    """Print no progress."""
