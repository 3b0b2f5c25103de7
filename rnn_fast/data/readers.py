"""Data on disk and data in memory: what is read in slices, and what is an array already."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import real, refuse_masks
from .files import File, npy_array, npz_array
from .mapped import Mapped
from .slices import Slices

#: attributes of objects whose numbers are in memory: they tell its address, or they have labels,
#: as tables of pandas do, so that their slices go by label
IN_MEMORY = ("__array_interface__", "__array_struct__", "__dlpack__", "iloc")


class Lazy(Slices):
    """Anything with a shape, a dtype and slices, such as a dataset of HDF5 or Zarr.

    Each slice is checked as if it were another array, and copied: a source may fill one buffer
    again and again.
    """

    def __init__(self, name: str, source: Any):
        try:
            shape = tuple(map(operator.index, source.shape))
        except TypeError:
            raise TypeError(
                f"{name} must have a shape of whole numbers; got {source.shape!r}"
            ) from None
        super().__init__(shape, source.dtype)
        self.source = source

    def _read(self, name: str, start: int, stop: int) -> np.ndarray:
        return np.array(real(name, self.source[start:stop], slice_of_source=True))


def is_lazy(value: Any) -> bool:
    """Return whether `value` is read in slices: it has a shape, a dtype and slices.

    Datasets of HDF5, Zarr and netCDF and arrays of Dask are; what is in memory is not.
    """
    if any(hasattr(value, name) for name in IN_MEMORY) or getattr(value, "_in_memory", False):
        return False  # the last is of xarray, whose arrays may be on disk
    described = isinstance(getattr(value, "dtype", None), np.dtype) and hasattr(value, "shape")
    return described and hasattr(value, "__getitem__")


def opened(name: str, value: Any, files: dict[str, File]) -> Any:
    """Return an argument as an array in memory, or as `Slices` of an array that is not.

    Lists, whose entries may be sequences, are returned as they are, and so is None.

    Parameters
    ----------
    name : str
        Name of the argument, for messages.  Its last word is the name of the array in an .npz file.
    value : path, memmap, array-like or anything else
    files : dict of path to File
        Files that are open.  Another one is added.

    Raises
    ------
    OSError
        A file cannot be opened.
    TypeError, ValueError
        The file is neither .npy nor .npz, lacks the array, or is damaged; or the array is masked or
        does not hold real numbers.
    """
    if value is None or isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (str, os.PathLike)):
        return _in_file(name, value, files)
    if isinstance(value, np.ndarray):
        refuse_masks(name, value)
        on_disk = Mapped.of(value)
        return real(name, value) if on_disk is None or not value.ndim else on_disk
    return Lazy(name, value) if is_lazy(value) else real(name, value)


def holds(name: str, value: Any, array: str, files: dict[str, File]) -> bool:
    """Return whether `value` is the path of an .npz file with an array of this name.

    Raises
    ------
    OSError, ValueError
        As `opened` raises.
    """
    if not isinstance(value, (str, os.PathLike)) or Path(value).suffix != ".npz":
        return False
    try:
        return f"{array}.npy" in _file(value, files).archive().namelist()
    except Exception as error:
        raise _refused(name, value, error) from None


def _in_file(name: str, path: Any, files: dict[str, File]) -> np.ndarray | Slices:
    suffix, array = Path(path).suffix, name.rpartition(" ")[2]
    if suffix not in (".npy", ".npz"):
        raise ValueError(
            f"{name} = {os.fspath(path)!r} is neither an .npy nor an .npz file; open other files, "
            "such as HDF5, and pass the datasets in them"
        )
    try:
        file = _file(path, files)
        return npy_array(file) if suffix == ".npy" else npz_array(file, array)
    except Exception as error:  # damaged files raise a dozen kinds
        raise _refused(name, path, error) from None


def _file(path: Any, files: dict[str, File]) -> File:
    key = os.fspath(path)
    if key not in files:
        files[key] = File(path)
    return files[key]


def _refused(name: str, path: Any, error: Exception) -> Exception:
    """Return the error for a file that cannot be opened or read."""
    if isinstance(error, OSError) and error.errno:  # without: `zipfile` was led outside the file
        return OSError(error.errno, f"{name}: {error.strerror}", os.fspath(path))
    return ValueError(f"{name}: {os.fspath(path)}: {error or type(error).__name__}")


def read_part(name: str, value: Any, place: tuple[int, int] | None) -> Any:
    """Return the entries start .. stop - 1 in memory, or for None all of them; None stays None.

    Raises
    ------
    OSError, TypeError, ValueError
        As `Slices.read`; ValueError also for a list that has become shorter.
    """
    if value is None:
        return None
    if isinstance(value, Slices):
        if not value.shape:
            raise ValueError(f"{name} must have an axis of sequences; got shape ()")
        return value.read(name, *(place or (0, value.shape[0])))
    if place is None:
        return value
    start, stop = place
    part = value[start:stop]
    if len(part) != stop - start:
        raise ValueError(f"{name} must have {stop - start} entries; got {len(part)}")
    return part


def n_entries(value: Any) -> int:
    """Return the number of entries along the first axis; 0 without an axis."""
    shape = (len(value),) if isinstance(value, (list, tuple)) else value.shape
    return shape[0] if shape else 0
