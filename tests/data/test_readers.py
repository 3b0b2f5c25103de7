"""Arrays in files and in memory: what is read in slices, and what is an array already."""

from __future__ import annotations

import array
import importlib.util
import os

import numpy as np
import pytest
from common import run_python

from rnn_fast.data.files import FileSlices
from rnn_fast.data.mapped import Mapped
from rnn_fast.data.readers import Lazy, holds, n_entries, opened, read_part
from rnn_fast.data.slices import Slices

A = np.arange(60.0).reshape(10, 3, 2)


def saved(tmp_path, kind, array=A):
    path = tmp_path / f"a.{kind[:3]}"
    if kind == "npy":
        np.save(path, array)
    else:
        {"npz": np.savez, "npz compressed": np.savez_compressed}[kind](path, X=array, y=array[:, 0])
    return path


class Source:
    """A dataset on disk."""

    def __init__(self, array, shape=None):
        self.array, self.dtype = array, array.dtype
        self.shape = array.shape if shape is None else shape

    def __getitem__(self, rows):
        return self.array[rows]


# ------------------------------------------------------------------------------------- on disk


@pytest.mark.parametrize("kind", ["npy", "npz", "npz compressed"])
@pytest.mark.parametrize(
    "array", [A, A.astype("f4"), A.astype(">i2"), A[:, ::2].copy(), np.asfortranarray(A), A > 3]
)
def test_files_of_numpy(kind, array, tmp_path):
    read = opened("X", saved(tmp_path, kind, array), {})
    assert isinstance(read, FileSlices) == (kind != "npz compressed")
    assert read.shape == array.shape and read.dtype == array.dtype and n_entries(read) == len(array)
    for start, stop in ((0, 10), (3, 7), (9, 10), (4, 4)):
        part = read_part("X", read, (start, stop))
        np.testing.assert_array_equal(part, array[start:stop])
        assert part.dtype == array.dtype
    np.testing.assert_array_equal(read_part("X", read, None), array)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("part", [np.s_[:], np.s_[4:], np.s_[:, ::2], np.s_[::-1], np.s_[:, 1, :1]])
def test_memmaps_and_their_parts(mode, part, tmp_path):
    whole = np.load(saved(tmp_path, "npy"), mmap_mode=mode)
    if mode == "c":
        whole[3] = -1  # what is not in the file
    mapped = whole[part]
    for view in (mapped, np.asarray(mapped), np.asarray(mapped)[:]):
        read = opened("X", view, {})
        assert isinstance(read, Mapped)
        np.testing.assert_array_equal(read_part("X", read, (2, 5)), mapped[2:5])
        assert not np.shares_memory(read_part("X", read, None), mapped)
    if mode == "c":
        assert (whole[3] == -1).all()


def test_dask_and_hdf5_and_zarr(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        read = opened("X", file.create_dataset("X", data=A), {})
        assert isinstance(read, Lazy)
        np.testing.assert_array_equal(read_part("X", read, (1, 3)), A[1:3])
    zarr = pytest.importorskip("zarr")
    made = zarr.open_array(str(tmp_path / "a.zarr"), mode="w", shape=A.shape, dtype=A.dtype)
    assert isinstance(opened("X", made, {}), Lazy)


def test_shapes_that_are_not_known():
    """Dask has them after a selection by values."""
    with pytest.raises(TypeError, match=r"^X must have a shape of whole numbers; got \(nan, 3\)$"):
        opened("X", Source(A, (float("nan"), 3)), {})
    read = opened("X", Source(A, tuple(np.int32(n) for n in A.shape)), {})
    assert read.shape == A.shape and all(type(n) is int for n in read.shape)
    with pytest.raises(ValueError, match="^y must have an axis of sequences"):
        read_part("y", opened("y", Source(np.float64(3)), {}), None)


# ----------------------------------------------------------------------------------- in memory


class Labelled(Source):
    """A table of pandas: slices go by label."""

    iloc = None

    def __getitem__(self, rows):
        raise KeyError(rows)

    def __array__(self, dtype=None, copy=None):
        return self.array


class Described(Source):
    """An object that tells the address of its numbers."""

    @property
    def __array_interface__(self):
        return self.array.__array_interface__


class Loaded(Source):
    """An array of xarray."""

    _in_memory = True

    def __array__(self, dtype=None, copy=None):
        return self.array


IN_MEMORY = {
    "array.array": lambda: array.array("d", A.ravel()),
    "memoryview": lambda: memoryview(A),
    "__array__": lambda: Labelled(A),
    "__array_interface__": lambda: Described(A),
    "xarray in memory": lambda: Loaded(A),
    "subclass": lambda: A.view(type("Sub", (np.ndarray,), {})),
    "bytes": lambda: np.frombuffer(A.tobytes()).reshape(A.shape),
    "torch": lambda: pytest.importorskip("torch").tensor(A),
    "pandas": lambda: pytest.importorskip("pandas").Series(A[:, 0, 0], np.arange(10) * 2.5),
    "pandas frame": lambda: pytest.importorskip("pandas").DataFrame(A[:, 0]),
    "polars": lambda: pytest.importorskip("polars").Series(A[:, 0, 0].tolist()),
}


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_what_is_in_memory_is_an_array_at_once(kind):
    value = IN_MEMORY[kind]()
    read = opened("X", value, {})
    assert type(read) is np.ndarray
    np.testing.assert_array_equal(read, np.asarray(value.array if kind == "__array__" else value))


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")
def test_an_array_of_jax_is_in_memory():
    """In another process, because JAX warns of each fork after its import."""
    code = """
import jax, numpy as np
from rnn_fast.data.readers import opened
read = opened("X", jax.numpy.arange(6.0), {})
print(type(read) is np.ndarray and read.tolist())
"""
    assert run_python(code, "-W", "ignore").split("\n")[0] == "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]"


def test_lists_stay_lists():
    value = [A[0], A[1, :2]]
    assert opened("X", value, {}) is value and n_entries(value) == 2
    assert opened("y", None, {}) is None and read_part("y", None, (0, 2)) is None
    assert read_part("y", [1, 2, 3], (1, 2)) == [2]
    with pytest.raises(ValueError, match="^y must have 2 entries; got 1$"):
        read_part("y", [1, 2, 3], (2, 4))


@pytest.mark.parametrize("folder", ["joblib_memmapping_folder_1_a", "data"])
def test_memmaps_of_joblib_are_in_memory(folder, tmp_path):
    (tmp_path / folder).mkdir()
    mapped = np.load(saved(tmp_path / folder, "npy"), mmap_mode="r")
    read = opened("X", mapped, {})
    assert isinstance(read, Slices) == (folder == "data")
    assert folder == "data" or np.shares_memory(read, mapped)


# --------------------------------------------------------------------------------------- names


def test_names_in_a_file(tmp_path):
    path = saved(tmp_path, "npz")
    assert holds("X", path, "y", {}) and holds("X", str(path), "X", {})
    others = (A, saved(tmp_path, "npy"), "none.npy")
    assert not any(holds("X", value, "y", {}) for value in others)
    assert not holds("X", path, "lengths", {})
    files = {}
    np.testing.assert_array_equal(
        read_part("y", opened("validation y", path, files), None), A[:, 0]
    )
    opened("X", path, files)
    assert list(files) == [str(path)]  # opened once


def test_what_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^X = 'data\.csv' is neither an \.npy nor an \.npz file"):
        opened("X", "data.csv", {})
    with pytest.raises(FileNotFoundError, match=r"X: No such file or directory: '.*none\.npy'"):
        opened("X", tmp_path / "none.npy", {})
    with pytest.raises(FileNotFoundError, match=r"X: No such file or directory: '.*none\.npz'"):
        holds("X", tmp_path / "none.npz", "lengths", {})
    with pytest.raises(ValueError, match=r"^lengths: .*a\.npz: no array lengths; it holds X, y"):
        opened("lengths", saved(tmp_path, "npz"), {})


def test_a_file_that_has_become_shorter(tmp_path):
    path = saved(tmp_path, "npy")
    read, mapped = opened("X", path, {}), opened("X", np.load(path, mmap_mode="r"), {})
    with open(path, "r+b") as file:
        file.truncate(200)
    for each in (read, mapped):
        message = r"\[Errno 5\] X cannot be read: .*a\.npy: the file is shorter than it was"
        with pytest.raises(OSError, match=message):
            read_part("X", each, None)


def test_a_file_that_is_replaced_changes_nothing(tmp_path):
    path = saved(tmp_path, "npy")
    read, mapped = opened("X", path, {}), np.load(path, mmap_mode="r")
    np.save(tmp_path / "b.npy", A + 1)
    os.replace(tmp_path / "b.npy", path)
    for each in (read, opened("X", mapped, {})):
        np.testing.assert_array_equal(read_part("X", each, (2, 5)), A[2:5])
