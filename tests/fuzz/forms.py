"""The same numbers in other forms, and numbers that must be refused.

A form takes an array and returns an array-like of the same values.  A flaw takes the arguments of a
call and spoils one of them.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator


class Own(np.ndarray):
    """A subclass with nothing in it."""


class Holder:
    """An object that can be made an array, and is none."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.array, dtype)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]


class Lazy:
    """Data that are read in slices, as from a file."""

    def __init__(self, array: np.ndarray):
        self.array, self.shape, self.dtype, self.reads = array, array.shape, array.dtype, 0

    def __getitem__(self, key: Any) -> Any:
        self.reads += 1
        return self.read(self.array[key])

    def read(self, part: np.ndarray) -> Any:
        """Return what is read; a lie returns something else."""
        return part


def fresh(a: np.ndarray) -> np.ndarray:
    return a.copy()


def strided(a: np.ndarray) -> np.ndarray:
    """Every other element of a larger array."""
    wide = np.full([2 * n + 1 for n in a.shape], 77, a.dtype)
    view = wide[tuple(slice(1, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def backwards(a: np.ndarray) -> np.ndarray:
    """Negative strides."""
    turn = (slice(None, None, -1),) * a.ndim
    return a[turn].copy()[turn]


def swapped(a: np.ndarray) -> np.ndarray:
    """The other byte order."""
    return a.astype(a.dtype.newbyteorder())


def unaligned(a: np.ndarray) -> np.ndarray:
    buffer = np.zeros(a.nbytes + 1, np.uint8)[1:]
    view = buffer[: a.nbytes].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def repeated(a: np.ndarray) -> np.ndarray:
    """Strides of 0, where all entries of the first axis are equal."""
    return np.broadcast_to(a[:1], a.shape) if (a == a[:1]).all() else a.copy()


def other_dtype(a: np.ndarray) -> np.ndarray:
    """A dtype that holds the same numbers."""
    kinds: dict[str, tuple[str, ...]] = {
        "f": ("f2", "f4", "f8", "g"),
        "i": ("i1", "u2", "i4", "u8"),
    }
    for name in kinds.get(a.dtype.kind, ()):
        with np.errstate(all="ignore"):
            other = a.astype(name)
        if zlib.crc32(a.tobytes()) % 3 and np.array_equal(other.astype(a.dtype), a, equal_nan=True):
            return other
    return a.copy()


def in_pandas(a: np.ndarray) -> Any:
    """A series or a frame whose index is odd."""
    import pandas as pd

    if a.ndim == 1:
        return pd.Series(a, index=np.arange(len(a)) * 2.5)
    return pd.DataFrame(a, index=np.arange(len(a)) * 2.5) if a.ndim == 2 else a.copy()


ARRAYS = [
    fresh,
    strided,
    backwards,
    swapped,
    unaligned,
    read_only,
    repeated,
    other_dtype,
    np.asfortranarray,
    lambda a: a.view(Own),
    lambda a: np.ascontiguousarray(a)[None][0],
]
OBJECTS = [np.ndarray.tolist, in_pandas, Holder, lambda a: memoryview(a.copy())]


class Files:
    """Arrays in files of a folder."""

    def __init__(self, folder: Path):
        self.folder, self.n = folder, 0

    def path(self, a: np.ndarray) -> Path:
        self.n += 1
        path = self.folder / f"{self.n}.npy"
        np.save(path, a)
        return path

    def mapped(self, a: np.ndarray) -> np.ndarray:
        return np.load(self.path(a), mmap_mode=("r", "r+", "c")[self.n % 3])

    def mapped_part(self, a: np.ndarray) -> np.ndarray:
        return np.load(self.path(np.concatenate([a, a])), mmap_mode="r")[: len(a)]


def dressed(rng: Rng, value: Any, files: Files | None = None) -> Any:
    """Return the same values in another form; lists keep their items' form of arrays."""
    if isinstance(value, (list, tuple)):
        return type(value)(dressed_array(rng, v) for v in value)
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return value
    if files is not None and rng.integers(4) == 0:
        kind = rng.integers(4)
        return [files.path, lambda a: str(files.path(a)), files.mapped, files.mapped_part][kind](
            value
        )
    if rng.integers(3) == 0:
        objects = OBJECTS if files is None else [*OBJECTS, Lazy]
        return objects[rng.integers(len(objects))](value)
    return dressed_array(rng, value)


def dressed_array(rng: Rng, value: np.ndarray) -> np.ndarray:
    """Return the same values in another array."""
    return ARRAYS[rng.integers(len(ARRAYS))](value)


# ----------------------------------------------------------------------------------- flaws


def masked(rng: Rng, a: np.ndarray) -> Any:
    mask = np.zeros(a.shape, bool)
    mask.flat[rng.integers(a.size)] = True
    out = np.ma.array(a.copy(), mask=mask)
    kind = rng.integers(3)
    return [out, out.tolist(), LazyMasked(out)][kind] if kind != 1 else [*out]


class LazyMasked(Lazy):
    """Slices that are masked arrays, as netCDF4 returns them."""


def wrong_shape(rng: Rng, a: np.ndarray, fixed: bool = True) -> np.ndarray:
    """Another shape; `fixed` if other lengths of the axes are wrong too."""
    options = [a[None], a[..., None, None], a[:0], a.reshape(-1)[0]]
    if fixed:
        options.append(np.concatenate([a, a[:1]]))
    if fixed and a.ndim > 1:
        options += [np.concatenate([a, a], axis=-1), a[..., :0]]
    return options[rng.integers(len(options))]


def wrong_dtype(rng: Rng, a: np.ndarray) -> Any:
    options = [
        a.astype(object),
        a.astype(complex),
        a.astype(str),
        np.full(a.shape, None),
        np.zeros(a.shape, "M8[s]"),
        np.zeros(a.shape, "S3"),
        np.zeros(a.shape, [("a", "f4")]),
        {"a": 1},
        "text",
        3.0j,
        object(),
    ]
    return options[rng.integers(len(options))]


def not_finite(rng: Rng, a: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """NaN, an infinity, or what is beyond the dtype."""
    a = a.astype(float)
    values = [np.nan, np.inf, -np.inf, *([1e39] if dtype == np.float32 else [])]
    a.flat[rng.integers(a.size)] = values[rng.integers(len(values))]
    return a


def out_of_range(rng: Rng, a: np.ndarray) -> np.ndarray:
    """Whole numbers that are no index, no length."""
    a = a.astype(np.int64)
    values = [-1, 10**6, 2**62, -(2**63)]
    a.flat[rng.integers(a.size)] = values[rng.integers(len(values))]
    return a
