"""Mapped files that are cut short, replaced or closed, on systems with and without /proc."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from rnn_fast.data.mapped import PROCESS, Mapped
from rnn_fast.data.slices import CHEAP, SPAN, read_by_seeking, read_strided

A = np.arange(60000.0).reshape(1000, 30, 2)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "a.npy", A)
    return np.load(tmp_path / "a.npy", mmap_mode="r")


def slices(mapped, way, tmp_path):
    """The numbers by each way to read them."""
    if way == "descriptor":
        read = Mapped(mapped, mapped, mapped.base)
        assert read.file is not None
        return read
    if way == "memory":
        shutil.copy(mapped.filename, tmp_path / "copy")
        os.replace(tmp_path / "copy", mapped.filename)  # another file has the name now
        read = Mapped(mapped, mapped, mapped.base)
        assert read.file is None and read.process == PROCESS
        return read
    return Mapped(mapped, mapped, mapped.base, process=str(tmp_path / "none"))


WAYS = [pytest.param("descriptor", marks=LINUX), pytest.param("memory", marks=LINUX), "touching"]


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_read_the_same(way, mapped, tmp_path):
    read = slices(mapped, way, tmp_path)
    np.testing.assert_array_equal(read.read("X", 100, 900), A[100:900])
    np.testing.assert_array_equal(read.whole(), A)
    np.testing.assert_array_equal(mapped[::100], A[::100])  # pages that were given back return


@pytest.mark.parametrize("way", WAYS)
def test_a_file_cut_short_is_an_error(way, tmp_path):
    """In another process, which a touch would kill."""
    code = f"""
import os, sys, numpy as np
sys.path.insert(0, {os.path.dirname(__file__)!r})
import pathlib, test_mapped
folder = pathlib.Path({str(tmp_path)!r})
np.save(folder / "a.npy", test_mapped.A)
mapped = np.load(folder / "a.npy", mmap_mode="r")
twin = os.open(folder / "a.npy", os.O_RDWR)
read = test_mapped.slices(mapped, {way!r}, folder)
os.ftruncate(twin, 8192)
try:
    read.read("X", 0, 1000)
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    assert "X cannot be read: " in done.stdout and "a.npy: the file is shorter" in done.stdout


@LINUX
@pytest.mark.parametrize("way", ["descriptor", "memory"])
def test_a_mapping_that_was_closed_is_no_crash(way, mapped, tmp_path):
    read = slices(mapped, way, tmp_path)
    mapped.base.close()
    if way == "descriptor":
        np.testing.assert_array_equal(read.read("X", 0, 5), A[:5])
    else:
        with pytest.raises(OSError, match="X cannot be read"):
            read.read("X", 0, 1000)


def test_a_private_copy_is_read_from_memory(tmp_path):
    np.save(tmp_path / "a.npy", A)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="c")
    mapped[5] = -1
    read = Mapped.of(mapped)
    assert read.file is None
    for _ in range(2):  # nothing is given back: no file has it
        assert (read.read("X", 5, 6) == -1).all()


def test_sliding_windows_of_a_mapping_are_read(mapped):
    windows = np.lib.stride_tricks.sliding_window_view(mapped[:, :, 0], 7, axis=0)
    read = Mapped.of(windows)
    assert read is not None
    np.testing.assert_array_equal(read.read("X", 5, 9), windows[5:9])


@pytest.mark.parametrize("span", [1, 3])
@pytest.mark.parametrize(
    "part", [np.s_[:], np.s_[::-1], np.s_[:, ::2], np.s_[..., 1], np.s_[2:3], np.s_[:0]]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_strides(order, part, span):
    """Numbers wider apart than a read is long, and others."""
    whole = np.zeros((7, 5, SPAN // 64 * span), order=order)
    whole[...] = np.arange(whole.size).reshape(whole.shape)
    raw = whole.ravel(order="K").view(np.uint8)
    view, out = whole[part], np.full(whole[part].shape, -1.0)
    sizes = []

    def read_at(buffer, place):
        sizes.append(len(buffer))
        buffer[:] = raw[place : place + len(buffer)]

    read_strided(read_at, view.ctypes.data - whole.ctypes.data, view.strides, out)
    np.testing.assert_array_equal(out, view)
    assert sum(sizes) <= 4 * view.nbytes + CHEAP * len(sizes)


def test_reading_by_seeking(tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789")
    with open(tmp_path / "f", "rb") as file:
        buffer = bytearray(4)
        assert read_by_seeking(file.fileno(), memoryview(buffer), 3) == 4 and buffer == b"3456"
        assert read_by_seeking(file.fileno(), memoryview(buffer), 8) == 2 and buffer == b"8956"
        assert read_by_seeking(file.fileno(), memoryview(buffer), 10) == 0
