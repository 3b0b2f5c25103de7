"""Buffers in one array of work memory."""

from __future__ import annotations

import numpy as np

ALIGN = 16  #: elements, 64 bytes of float32


def round_up(n: int, step: int) -> int:
    """The smallest multiple of `step` that is at least `n`."""
    return (n + step - 1) // step * step


def offsets(buffers: list[int]) -> tuple[np.ndarray, int]:
    """Where each buffer starts in the work array, and the array's length, in elements.

    Every start is a multiple of `ALIGN`, so that whole vectors are aligned.
    """
    ends = np.cumsum([round_up(size, ALIGN) for size in buffers], dtype=np.int64)
    return np.concatenate(([0], ends[:-1])), int(ends[-1])
