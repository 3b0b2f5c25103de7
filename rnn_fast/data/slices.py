"""Numbers that are not in memory, and are read in slices."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

import numpy as np

#: bytes that are read at once where the numbers wanted do not lie side by side: with the gaps, if
#: these are three quarters at most, or if reading takes no longer than another call does (5 us)
SPAN, CHEAP = 2**20, 2**14
#: bytes of one call of the system, which takes less than 2**31
CALL = 2**30


class Slices:
    """N entries of one shape, read in slices; a base.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        self.shape, self.dtype = shape, dtype

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return the entries start .. stop - 1 as an array that nobody else has.

        Raises
        ------
        OSError
            They cannot be read; the message has `name`.
        TypeError, ValueError
            They are no real numbers, or not of the shape that was said before.
        """
        try:
            part = self._read(name, start, stop)
        except OSError as error:
            number = error.errno or errno.EIO
            raise OSError(number, f"{name} cannot be read: {error}") from error
        expected = (stop - start, *self.shape[1:])
        if part.shape != expected:
            raise ValueError(f"{name} must have shape {expected}, as before; got {part.shape}")
        return part

    def _read(self, name: str, start: int, stop: int) -> np.ndarray:
        raise NotImplementedError


def read_strided(
    read_at: Callable[[np.ndarray, int], None],
    first: int,
    strides: tuple[int, ...],
    out: np.ndarray,
) -> None:
    """Fill `out` with numbers that lie `strides` bytes apart.

    Parameters
    ----------
    read_at : callable
        ``read_at(buffer, place)`` fills a vector of bytes.
    first : int
        Place of the number at index 0.
    strides : tuple of int
        As of an array.
    out : array
        Written.
    """
    if not out.size:
        return
    if out.flags.c_contiguous and strides == out.strides:
        read_at(out.reshape(-1).view(np.uint8), first)
        return
    ways = [(n - 1) * stride for n, stride in zip(out.shape, strides, strict=True)]
    span = sum(map(abs, ways)) + out.itemsize
    if span <= CHEAP or span <= min(SPAN, 4 * out.nbytes):
        low, buffer = first + sum(way for way in ways if way < 0), np.empty(span, np.uint8)
        read_at(buffer, low)
        out[...] = np.ndarray(out.shape, out.dtype, buffer, first - low, strides)
        return
    axis = int(np.argmax(np.abs(ways)))
    half, before = out.shape[axis] // 2, (slice(None),) * axis
    read_strided(read_at, first, strides, out[(*before, slice(half))])
    read_strided(read_at, first + half * strides[axis], strides, out[(*before, slice(half, None))])


def read_exactly(descriptor: int, buffer: np.ndarray, place: int) -> None:
    """Fill a vector of bytes from an open file; EOFError if the file ends before."""
    left = memoryview(buffer)  # type: ignore[arg-type]  # it has the buffer protocol
    while len(left):
        n = _read_into(descriptor, left[:CALL], place)
        if n <= 0:
            raise EOFError("the file is shorter than it was")
        left, place = left[n:], place + n


_seeking = threading.Lock()


def read_by_seeking(descriptor: int, buffer: memoryview, place: int) -> int:
    """Read at a place of a file as `os.preadv` does, where the system lacks that."""
    with _seeking:
        os.lseek(descriptor, place, os.SEEK_SET)
        found = os.read(descriptor, len(buffer))
    buffer[: len(found)] = found
    return len(found)


def _read_into(descriptor: int, buffer: memoryview, place: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], place)
    return read_by_seeking(descriptor, buffer, place)
