"""Arrays that are read in slices."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast.data.readers import FileArray, has_array, is_sliced, opened, read_slice

A = np.arange(60.0).reshape(10, 3, 2)


def saved(tmp_path, kind, array=A):
    path = tmp_path / f"a.{kind[:3]}"
    if kind == "npy":
        np.save(path, array)
    else:
        {"npz": np.savez, "npz compressed": np.savez_compressed}[kind](path, X=array, y=array[:, 0])
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "npz compressed"])
@pytest.mark.parametrize("array", [A, A.astype("f4"), A.astype(">i2"), A[:, ::2].copy()])
def test_files_of_numpy(kind, array, tmp_path):
    found = opened("X", saved(tmp_path, kind, array))
    assert isinstance(found, FileArray) == (kind != "npz compressed")
    assert found.shape == array.shape and found.dtype == array.dtype and len(found) == len(array)
    for part in (slice(0, 10), slice(3, 7), slice(9, 10), slice(4, 4)):
        np.testing.assert_array_equal(found[part], array[part])


def test_columns_first_are_mapped(tmp_path):
    path = saved(tmp_path, "npy", np.asfortranarray(A))
    found = opened("X", path)
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(read_slice(found, 2, 5), A[2:5])


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memmaps(mode, tmp_path):
    mapped = np.load(saved(tmp_path, "npy"), mmap_mode=mode)
    found = opened("X", mapped)
    assert isinstance(found, FileArray) == (mode != "c") and is_sliced(found)
    if mode == "c":
        mapped[3] = -1  # what is not in the file
    np.testing.assert_array_equal(read_slice(found, 2, 5), mapped[2:5])
    part = opened("X", mapped[4:])  # does not know where it starts
    assert isinstance(part, np.memmap)
    np.testing.assert_array_equal(read_slice(part, 0, 2), mapped[4:6])
    np.testing.assert_array_equal(mapped[2:5], np.array(mapped)[2:5])  # nothing was lost


def test_what_is_sliced(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("X", data=A)
        assert is_sliced(dataset)
        np.testing.assert_array_equal(read_slice(dataset, 1, 3), A[1:3])
    assert not any(map(is_sliced, (A, A.tolist(), [A], 3, None)))
    assert read_slice(None, 1, 2) is None and read_slice([1, 2, 3], 1, 2) == [2]


def test_a_file_that_has_become_shorter(tmp_path):
    path = saved(tmp_path, "npy")
    found = opened("X", path)
    with open(path, "r+b") as file:
        file.truncate(200)
    with pytest.raises(OSError, match=r"a\.npy: the file is shorter than it was"):
        found[0:10]


def test_names_in_a_file(tmp_path):
    path = saved(tmp_path, "npz")
    assert has_array(path, "y") and has_array(str(path), "X")
    assert not any(has_array(value, "y") for value in (A, saved(tmp_path, "npy"), "none.npy"))
    assert not has_array(path, "lengths")
    np.testing.assert_array_equal(opened("validation y", path)[:], A[:, 0])


def test_what_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^X = 'data\.csv' is neither an \.npy nor an \.npz file"):
        opened("X", "data.csv")
    with pytest.raises(FileNotFoundError):
        opened("X", tmp_path / "none.npy")
    with pytest.raises(ValueError, match=r"^lengths: .*a\.npz: no array lengths; it holds X, y"):
        opened("lengths", saved(tmp_path, "npz"))
    path = saved(tmp_path, "npy")
    for content in (b"", b"rubbish", path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^X: .*a\.npy: "):
            opened("X", path)
    (tmp_path / "a.npz").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"^X: .*a\.npz: "):
        opened("X", tmp_path / "a.npz")
    objects = np.array([{}], dtype=object)
    for kind in ("npy", "npz"):
        name = tmp_path / f"o.{kind}"
        np.save(name, objects) if kind == "npy" else np.savez(name, X=objects)
        with pytest.raises(ValueError, match=r"^X: .* [Oo]bject"):
            opened("X", name)
