"""Data on disk: NumPy's files, memmaps, and everything else that is read in slices."""

from __future__ import annotations

import mmap
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


class FileArray:
    """An array in a file, which is read in slices.

    It is no mapping: mapped pages would count as this process's memory, and reading them would end
    the process if the file had been cut short or its disk failed.
    """

    def __init__(self, path: Any, dtype: np.dtype, shape: tuple[int, ...], offset: int):
        self.path, self.dtype, self.shape, self.offset = path, dtype, shape, offset

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return consecutive rows; OSError if the file has become shorter."""
        start, stop, _ = rows.indices(len(self))
        row = int(np.prod(self.shape[1:]))
        n, offset = (stop - start) * row, self.offset + start * row * self.dtype.itemsize
        values = np.fromfile(self.path, self.dtype, n, offset=offset)
        if len(values) < n:
            raise OSError(f"{os.fspath(self.path)}: the file is shorter than it was")
        return values.reshape(stop - start, *self.shape[1:])


def opened(name: str, value: Any) -> Any:
    """Return the array in a file, unread, for a path or a memmap; other values as they are.

    Parameters
    ----------
    name : str
        Name of the argument, for messages.  Its last word is the name of the array in an .npz file.
    value : path, memmap or anything else

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        The file is neither .npy nor .npz, lacks the array, or is damaged.
    """
    if isinstance(value, np.memmap):
        return _unmapped(value)
    if not isinstance(value, (str, os.PathLike)):
        return value
    path, name = Path(value), name.rpartition(" ")[2]
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(
            f"{name} = {str(path)!r} is neither an .npy nor an .npz file; open other files, such "
            "as HDF5, and pass the datasets in them"
        )
    try:
        if path.suffix == ".npy":
            return _unmapped(np.load(path, mmap_mode="r", allow_pickle=False))
        return _unmapped(_member(path, f"{name}.npy"))
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{name}: {path}: {error}") from None


def _unmapped(array: np.ndarray) -> Any:
    """Return the file of a memmap if it holds the same rows; else the array itself."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap):
        return array  # parts of a memmap as well, which do not tell where they start
    if not (array.mode in ("r", "r+") and array.flags.c_contiguous and array.ndim):
        return array
    return FileArray(array.filename, array.dtype, array.shape, array.offset)


def has_array(value: Any, name: str) -> bool:
    """Return whether `value` is the path of an .npz file with an array of this name."""
    if not isinstance(value, (str, os.PathLike)) or Path(value).suffix != ".npz":
        return False
    with zipfile.ZipFile(value) as file:
        return f"{name}.npy" in file.namelist()


def _member(path: Path, name: str) -> np.ndarray:
    """Return an array of an .npz file: mapped, unless it is compressed."""
    with zipfile.ZipFile(path) as file:
        try:
            info = file.getinfo(name)
        except KeyError:
            names = ", ".join(n.removesuffix(".npy") for n in file.namelist()) or "nothing"
            raise ValueError(f"no array {name.removesuffix('.npy')}; it holds {names}") from None
        if info.compress_type != zipfile.ZIP_STORED:
            with file.open(info) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
    with open(path, "rb") as stream:
        stream.seek(info.header_offset + 26)  # the lengths of the name and of the extra field
        stream.seek(info.header_offset + 30 + sum(struct.unpack("<HH", stream.read(4))))
        major, _ = np.lib.format.read_magic(stream)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, is_fortran, dtype = read[major](stream)
        if dtype.hasobject:
            raise ValueError("holds Python objects, which are not read (allow_pickle)")
        order = "F" if is_fortran else "C"
        return np.memmap(path, dtype, "r", stream.tell(), shape, order)  # type: ignore[call-overload]


def is_sliced(value: Any) -> bool:
    """Return whether `value` is on disk and read in slices: it has a shape, a dtype and slices.

    Datasets of HDF5 and Zarr are read in slices, arrays in memory are not.
    """
    if isinstance(value, np.ndarray):
        return isinstance(value, np.memmap)
    described = isinstance(getattr(value, "dtype", None), np.dtype) and hasattr(value, "shape")
    return described and hasattr(value, "__getitem__")


def n_entries(value: Any) -> int:
    """Return the number of entries along the first axis; 0 without an axis."""
    shape = getattr(value, "shape", None)
    if shape is None:
        return len(value) if hasattr(value, "__len__") else 0
    return shape[0] if len(shape) else 0


def read_whole(value: Any) -> Any:
    """Return all entries of data on disk, in memory; other values as they are."""
    return read_slice(value, 0, value.shape[0]) if is_sliced(value) and value.shape else value


def read_slice(value: Any, start: int, stop: int) -> Any:
    """Return ``value[start:stop]``, in memory; None stays None."""
    if value is None:
        return None
    if not is_sliced(value):
        return value[start:stop]
    part = np.array(value[start:stop])
    if isinstance(value, np.memmap):
        _forget(value)
    return part


def _forget(mapped: np.memmap) -> None:
    """Let the system take the pages of a mapping back, which count as memory of this process."""
    owner: Any = mapped
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and mapped.mode in ("r", "r+") and hasattr(owner, "madvise"):
        owner.madvise(mmap.MADV_DONTNEED)
