"""A training step of ours in parts of that of PyTorch, JAX, Keras or NumPy, on the field grid.

Everyone is `rnn-fast bench`'s: checked to compute the same, the fastest of what compiles quickly,
and timed in turn in one process.  Who is not installed is skipped, and so asv's own environment
measures NumPy's alone; ``asv run --python=same --bench peers`` takes the environment it is in.  The
gate leaves this out: what others do is no matter of a commit.
"""

from __future__ import annotations

import importlib
import os
from statistics import median

ROUNDS = 5


class Lead:
    """Median of ours / theirs over interleaved rounds."""

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
    """Say nothing."""
