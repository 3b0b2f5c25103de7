"""Sequences and targets as rows of memory, one sequence after the other: what the kernels take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Sequences(NamedTuple):
    """N sequences: rows of all, one behind the other, or padded to equal length."""

    x: np.ndarray  #: (rows, I) of the network's dtype, or with an embedding (rows,) int64
    starts: np.ndarray  #: (N,) int64: the row where each starts
    lengths: np.ndarray  #: (N,) int64: rows of each, at least 1


class Targets(NamedTuple):
    """What the outputs of N sequences, or of all their rows, are compared with."""

    y: np.ndarray  #: (N or rows, target_size) of the network's dtype, class indices as well
    weights: np.ndarray | None  #: (N or rows,), not negative; None for equal ones


def padded(x: np.ndarray) -> Sequences:
    """Sequences of equal length, from (N, T, I), or (N, T) indices; no copy is made."""
    N, T = x.shape[:2]
    return Sequences(
        x.reshape(N * T, *x.shape[2:]),
        np.arange(0, N * T, T, dtype=np.int64),
        np.full(N, T, np.int64),
    )
