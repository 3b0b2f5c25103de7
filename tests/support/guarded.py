"""Memory that ends where the process may not read: an access out of bounds dies in the test."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

from rnn_fast.engine.workspace import Memory

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


def _forbid(start: int, size: int) -> None:
    if _libc.mprotect(start, size, 0):
        raise OSError(ctypes.get_errno(), "mprotect")


def array(n: int, dtype: object) -> np.ndarray:
    """Return `n` zeros whose end is the start of a forbidden page."""
    (start,), memory = GuardedMemory().buffers([n], dtype)
    return memory[start : start + n]


def copy(values: np.ndarray) -> np.ndarray:
    """Return a copy of `values` before a forbidden page."""
    out = array(values.size, values.dtype).reshape(values.shape)
    out[...] = values
    return out


class GuardedMemory(Memory):
    """Memory with a forbidden page behind each buffer."""

    def vector(self, n, dtype, lines=0):
        return array(n, dtype)

    def buffers(self, sizes, dtype, lines=0):
        item = np.dtype(dtype).itemsize
        room = [-(-size * item // PAGE) * PAGE for size in sizes]
        ends = np.cumsum([pages + PAGE for pages in room])
        whole = np.frombuffer(mmap.mmap(-1, int(ends[-1])), np.uint8)
        for end in ends:
            _forbid(whole.ctypes.data + int(end) - PAGE, PAGE)
        starts = (ends - PAGE) // item - np.array(sizes)
        return starts.astype(np.int64), whole.view(dtype)
