"""Sources that change while they are read, and what changes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from forms import Files, Lazy

Rng = np.random.Generator


class Whim(Exception):
    """The user's own error."""


def arrays_in(value: Any) -> Iterator[np.ndarray]:
    """Yield the writeable arrays in the arguments of a call."""
    if isinstance(value, np.ndarray) and value.flags.writeable and value.size:
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from arrays_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from arrays_in(each)


def scribble(rng: Rng, a: np.ndarray) -> None:
    """Write what no check would let pass."""
    if a.dtype.kind in "iu":
        values = [0, 10**2, 10**6, 10**12, 2**62]
        wanted = values[rng.integers(len(values))]
        a[...] = min(wanted, int(np.iinfo(a.dtype).max))
        if a.dtype.kind == "i" and rng.integers(2):
            a *= -1
    elif a.dtype == bool:
        a ^= True
    else:
        with np.errstate(over="ignore"):  # of float16
            a[...] = [np.nan, 0.0, 1e30, -1.0][rng.integers(4)]


def reshape(rng: Rng, a: np.ndarray) -> None:
    """Change shape or dtype of the same array in place."""
    try:
        kind = rng.integers(4)
        if kind == 0:
            a.shape = (a.size,)
        elif kind == 1:
            a.shape = a.shape[::-1]
        elif kind == 2:
            a.strides = (0,) * a.ndim
        else:
            a.dtype = np.dtype("u1")
    except (AttributeError, TypeError, ValueError):  # not contiguous
        pass


def resize(rng: Rng, a: np.ndarray) -> None:
    """Take the memory away, which NumPy does to any array that nobody has pinned."""
    try:
        a.resize(int(rng.integers(2)) * 10**5, refcheck=False)
    except ValueError:  # a view, or pinned
        pass


CHANGES: list[Callable[[Rng, np.ndarray], None]] = [scribble, scribble, reshape, resize]


def change(rng: Rng, arguments: Any) -> None:
    """Change one of the arrays of a call in place."""
    found = [*arrays_in(arguments)]
    if found:
        CHANGES[rng.integers(len(CHANGES))](rng, found[rng.integers(len(found))])


@contextmanager
def changing(rng: Rng, arguments: Any) -> Iterator[None]:
    """Change the arguments from another thread within the block."""
    over, found = threading.Event(), [*arrays_in(arguments)]

    def work() -> None:
        while found and not over.is_set():
            CHANGES[rng.integers(len(CHANGES))](rng, found[rng.integers(len(found))])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Fickle(Lazy):
    """A source that is another one from a read on."""

    def __init__(self, array: np.ndarray, first: int, kind: int):
        super().__init__(array)
        self.first, self.kind = first, kind

    def read(self, part: np.ndarray) -> Any:
        if self.reads <= self.first:
            return part
        kind = self.kind % 9
        if kind == 0:
            raise Whim("the source is gone")
        if kind == 1:
            return part[:-1]
        if kind == 2:
            return np.concatenate([part, part])
        if kind == 3:
            with np.errstate(invalid="ignore"):
                return part.astype("f4" if part.dtype.kind == "i" else "i8")
        if kind == 4:
            return np.full(part.shape, 10**12 if part.dtype.kind == "i" else np.nan)
        if kind == 5:
            return np.ma.array(part, mask=True)
        if kind == 6:
            return part[..., None]
        if kind == 7:
            return None
        return part.astype(object)


class Turncoat:
    """An object that is another array each time it is made one."""

    def __init__(self, rng: Rng, array: np.ndarray):
        self.rng, self.array, self.n = rng, array, 0

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        self.n += 1
        if self.n > 1:
            scribble(self.rng, self.array)
        return self.array

    def __len__(self) -> int:
        return len(self.array) + self.n


class Pretender(Lazy):
    """A source whose shape or dtype is a lie."""

    def __init__(self, array: np.ndarray, kind: int):
        super().__init__(array)
        n = len(array)
        self.shape: Any = [
            (n + 1, *array.shape[1:]),
            (2**40, *array.shape[1:]),
            (*array.shape, 1),
            (n, *(5 for _ in array.shape[1:])),
            (-1, *array.shape[1:]),
            list(array.shape),
            array.shape,
        ][kind % 7]
        if kind % 7 == 6:
            self.dtype = np.dtype("u1")


def lying(rng: Rng, value: Any, files: Files) -> Any:
    """Return a source in place of an array that will not keep what it promises."""
    if not isinstance(value, np.ndarray) or not value.ndim:
        return value
    kind = rng.integers(4)
    if kind == 0:
        return Fickle(value, int(rng.integers(4)), int(rng.integers(9)))
    if kind == 1:
        return Turncoat(rng, value)
    if kind == 2:
        return Pretender(value, int(rng.integers(7)))
    return shrinking(rng, value, files)


def shrinking(rng: Rng, value: np.ndarray, files: Files) -> Any:
    """A map of a file, or its path, that was cut short or replaced after it was mapped."""
    path = files.path(value)
    source: Any = path if rng.integers(2) else np.load(path, mmap_mode="r")
    if rng.integers(2):
        with open(path, "rb+") as file:
            file.truncate(int(rng.integers(0, path.stat().st_size)))
    else:
        other = path.with_suffix(".other.npy")
        np.save(other, value[:1])
        other.replace(path)
    return source
