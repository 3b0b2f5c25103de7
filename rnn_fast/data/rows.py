"""Sequences and targets as the kernels take them: rows of memory, sequence after sequence."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np


class Sequences(NamedTuple):
    """N sequences as rows, one sequence after the other or padded to equal length."""

    x: np.ndarray  #: (rows, I) of the network's dtype, or with an embedding (rows,) int64
    starts: np.ndarray  #: (N,) int64: first row of each sequence
    lengths: np.ndarray  #: (N,) int64: rows of each sequence, at least 1


class Targets(NamedTuple):
    """Targets of N sequences, or of all their rows."""

    y: np.ndarray  #: (N or rows, target_size) of the network's dtype, class indices as well
    weights: np.ndarray | None  #: (N or rows,), not negative; None: all are equal
    #: whether NaN in `y` are missing values; a row's weight is then times its share of others
    skips: bool = False


def padded(x: np.ndarray) -> Sequences:
    """Return a view of (N, T, I) numbers, or (N, T) indices, as sequences of equal length."""
    N, T = x.shape[:2]
    return Sequences(x.reshape(N * T, *x.shape[2:]), *(few_rows if N <= FEW else equal_rows)(N, T))


FEW = 1024  #: sequences whose places are kept, 8 bytes each and twice


def equal_rows(N: int, T: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts and the lengths of N sequences of T steps."""
    places = np.arange(0, N * T, T, dtype=np.int64), np.full(N, T, np.int64)
    for array in places:
        array.flags.writeable = False
    return places


few_rows = functools.lru_cache(64)(equal_rows)
