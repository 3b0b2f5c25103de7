"""What sequences are read from: arrays, files of NumPy, and all that can be cut into slices."""

from __future__ import annotations

import mmap
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


class FileArray:
    """An array in a file, of which slices are read.

    Not by a mapping: that would count as memory of ours, and end the process should the file be
    cut short, or its disk fail, meanwhile.
    """

    def __init__(self, path: Any, dtype: np.dtype, shape: tuple[int, ...], offset: int):
        self.path, self.dtype, self.shape, self.offset = path, dtype, shape, offset

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Consecutive rows.  OSError if there is less in the file than there was."""
        start, stop, _ = rows.indices(len(self))
        each = int(np.prod(self.shape[1:]))
        n, offset = (stop - start) * each, self.offset + start * each * self.dtype.itemsize
        found = np.fromfile(self.path, self.dtype, n, offset=offset)
        if len(found) < n:
            raise OSError(f"{os.fspath(self.path)}: the file is shorter than it was")
        return found.reshape(stop - start, *self.shape[1:])


def opened(name: str, value: Any) -> Any:
    """A path as what it holds, which is not read yet; a memmap as its file; the rest as it is.

    Parameters
    ----------
    name : str
        Of the argument: for messages, and of the array in an .npz file.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is neither .npy nor .npz, holds no such array, or is damaged.
    """
    if isinstance(value, np.memmap):
        return _unmapped(value)
    if not isinstance(value, (str, os.PathLike)):
        return value
    path, name = Path(value), name.rpartition(" ")[2]
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(
            f"{name} = {str(path)!r} is neither an .npy nor an .npz file; open others, such as "
            "HDF5, and give what can be cut into slices"
        )
    try:
        if path.suffix == ".npy":
            return _unmapped(np.load(path, mmap_mode="r", allow_pickle=False))
        return _unmapped(_member(path, f"{name}.npy"))
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{name}: {path}: {error}") from None


def _unmapped(array: np.ndarray) -> Any:
    """The file of a memmap, if that holds what the memmap shows, row by row."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap):
        return array  # also parts of a memmap, which do not say where they start
    if not (array.mode in ("r", "r+") and array.flags.c_contiguous and array.ndim):
        return array
    return FileArray(array.filename, array.dtype, array.shape, array.offset)


def has(value: Any, name: str) -> bool:
    """Whether `value` is the path of an .npz file with an array of that name."""
    if not isinstance(value, (str, os.PathLike)) or Path(value).suffix != ".npz":
        return False
    with zipfile.ZipFile(value) as file:
        return f"{name}.npy" in file.namelist()


def _member(path: Path, name: str) -> np.ndarray:
    """An array of an .npz file: mapped, unless it is compressed."""
    with zipfile.ZipFile(path) as file:
        try:
            info = file.getinfo(name)
        except KeyError:
            found = ", ".join(n.removesuffix(".npy") for n in file.namelist()) or "nothing"
            raise ValueError(f"no array {name.removesuffix('.npy')}; it holds {found}") from None
        if info.compress_type != zipfile.ZIP_STORED:
            with file.open(info) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
    with open(path, "rb") as stream:
        stream.seek(info.header_offset + 26)  # the lengths of the name and of the extra field
        stream.seek(info.header_offset + 30 + sum(struct.unpack("<HH", stream.read(4))))
        major, _ = np.lib.format.read_magic(stream)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read[major](stream)
        if dtype.hasobject:
            raise ValueError("holds Python objects, which are not read (allow_pickle)")
        order = "F" if fortran else "C"
        return np.memmap(path, dtype, "r", stream.tell(), shape, order)  # type: ignore[call-overload]


def is_cut(value: Any) -> bool:
    """Whether `value` is to be read in slices: what has a shape, a dtype and slices, on disk.

    Datasets of HDF5 and Zarr are such, arrays in memory are not.
    """
    if isinstance(value, np.ndarray):
        return isinstance(value, np.memmap)
    described = isinstance(getattr(value, "dtype", None), np.dtype) and hasattr(value, "shape")
    return described and hasattr(value, "__getitem__")


def length(value: Any) -> int:
    """Entries along the first axis, 0 of what has none."""
    shape = getattr(value, "shape", None)
    if shape is None:
        return len(value) if hasattr(value, "__len__") else 0
    return shape[0] if len(shape) else 0


def whole(value: Any) -> Any:
    """All of it in memory, if it is to be read in slices; else as it is."""
    return cut(value, 0, value.shape[0]) if is_cut(value) and value.shape else value


def cut(value: Any, start: int, stop: int) -> Any:
    """``value[start:stop]``, of a source a copy in memory; None stays None."""
    if value is None:
        return None
    if not is_cut(value):
        return value[start:stop]
    part = np.array(value[start:stop])
    if isinstance(value, np.memmap):
        _forget(value)
    return part


def _forget(mapped: np.memmap) -> None:
    """Let the system take back the pages of a mapping: else all that was read counts as ours."""
    owner: Any = mapped
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and mapped.mode in ("r", "r+") and hasattr(owner, "madvise"):
        owner.madvise(mmap.MADV_DONTNEED)
