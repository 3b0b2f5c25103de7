"""Aligned memory, and buffers in one array of it."""

from __future__ import annotations

import numpy as np

ALIGN = 16  #: elements, 64 bytes of float32


def round_up(n: int, step: int) -> int:
    """The smallest multiple of `step` that is at least `n`."""
    return (n + step - 1) // step * step


def offsets(buffers: list[int]) -> tuple[np.ndarray, int]:
    """Return the start of each buffer in the work array, and the array's length, in elements.

    Every start is a multiple of `ALIGN`, so that whole vectors are aligned.
    """
    ends = np.cumsum([round_up(size, ALIGN) for size in buffers], dtype=np.int64)
    return np.concatenate(([0], ends[:-1])), int(ends[-1])


ALIGNMENT = 64  #: bytes, a cache line and the widest vector register; NumPy promises only 16


def aligned(n: int, dtype: np.dtype | type, lines: int = 0) -> np.ndarray:
    """Return a vector of `n` zeros that starts at a multiple of `ALIGNMENT`, `lines` further on."""
    size, skip = n * np.dtype(dtype).itemsize, lines * ALIGNMENT
    buffer = np.zeros(size + skip + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT + skip
    return buffer[start : start + size].view(dtype)
