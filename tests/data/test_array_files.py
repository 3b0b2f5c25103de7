"""Files of NumPy that are damaged, foreign or hostile: one error, which names argument and path."""

from __future__ import annotations

import io
import os
import struct
import sys
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from common import flat

from rnn_fast import GRU
from rnn_fast.data.readers import holds, opened, read_part

A = np.arange(24.0).reshape(4, 3, 2)


def npy(array=A, **header):
    """The bytes of an .npy file; with a header, another than the array's."""
    stream = io.BytesIO()
    if not header:
        np.save(stream, array)
        return stream.getvalue()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": array.shape, **header}
    )
    return stream.getvalue() + array.tobytes()


def npz(method=zipfile.ZIP_STORED, **members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, content in (members or {"X.npy": npy(), "y.npy": npy(A[:, 0, 0])}).items():
            file.writestr(name, content)
    return stream.getvalue()


def read(path, name="X"):
    """All numbers of the file that would be read, after a look for lengths as `Dataset` takes."""
    files = {}
    holds(name, path, "lengths", files)
    return read_part(name, opened(name, path, files), None)


def refused(path, reason=""):
    with pytest.raises(ValueError, match=rf"^X: {path}: .*{reason}") as caught:
        read(path)
    assert type(caught.value) is ValueError


def text_header(text):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(64)


HEADERS = {
    "empty": b"",
    "rubbish": b"rubbish",
    "magic alone": npy()[:6],
    "half a header": npy()[:40],
    "half of the numbers": npy()[:-90],
    "version": npy()[:6] + b"\x09" + npy()[7:],
    "long header": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(64),
    "objects": npy(np.array([{}], object)),
    "structured": npy(np.zeros(3, [("a", "f4"), ("b", "i4")])),
    "text": npy(np.array(["a", "b"])),
    "complex": npy(A.astype(complex)),
    "times": npy(A.astype("M8[s]")),
    "negative": npy(shape=(-4, 3, 2)),
    "twice negative": npy(shape=(-4, -3, 2)),
    "bool": npy(shape=(True, 3, 2)),
    "huge": npy(shape=(10**18,)),
    "beyond int64": npy(shape=(2**40, 2**40)),
    "beyond any": npy(shape=(10**4000,)),
    "unknown dtype": npy(descr="<f3"),
    "unclosed": text_header("{'descr': '<f8', 'shape': (((((("),
    "deep": text_header("(" * 9000),
    "no dict": text_header("[1, 2]"),
    "keys": text_header("{'descr': '<f8'}"),
    "code": text_header("{'descr': '<f8', 'fortran_order': exit(), 'shape': (1,)}"),
    "nul": text_header("\0\0"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers(kind, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(HEADERS[kind])
    refused(path)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = tmp_path / "a.npz"
        path.write_bytes(npz(method, **{"X.npy": HEADERS[kind]}))
        refused(path)


def patched(content, signature, offset, value):
    """`content` with bytes behind a signature replaced."""
    at = content.index(signature) + offset
    return content[:at] + value + content[at + len(value) :]


LOCAL, CENTRAL = b"PK\3\4", b"PK\1\2"


def duplicated():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            file.writestr("X.npy", npy())
            file.writestr("X.npy", npy(A + 1))
    return stream.getvalue()


ARCHIVES = {
    "empty": (b"", "not a zip file"),
    "one byte": (b"x", "not a zip file"),
    "npy": (npy(), "not a zip file"),
    "no members": (npz(**{"X": b""}), "no array X; it holds X"),
    "another member": (npz(**{"z.npy": npy()}), "no array X; it holds z"),
    "duplicate": (duplicated(), "holds X 2 times"),
    "encrypted": (patched(npz(), CENTRAL, 8, b"\1"), "encrypted"),
    "other name": (patched(npz(), LOCAL, 30, b"Y"), "differ"),
    "no local header": (patched(npz(), LOCAL, 0, b"PK\3\5"), "magic number"),
    "checksum": (patched(npz(), CENTRAL, 16, b"\0\0\0\0"), "CRC"),
    "flipped number": (patched(npz(), LOCAL, 200, b"\x55"), "CRC"),
    "method 97": (patched(npz(), CENTRAL, 10, b"\x61"), "method 97"),
    "bzip2": (npz(zipfile.ZIP_BZIP2), "method 12"),
    "two sizes": (patched(npz(), CENTRAL, 24, b"\0\0\0\1"), "two sizes"),
    "version": (patched(npz(), CENTRAL, 6, b"\xff"), ""),
    "offset": (patched(npz(), CENTRAL, 42, b"\xff\xff\xff\x7f"), ""),
    "directory of 4 GB": (patched(npz(), b"PK\5\6", 12, b"\xff\xff\xff\xfe"), ""),
    "half": (npz()[:300], "not a zip file"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives(kind, tmp_path):
    content, reason = ARCHIVES[kind]
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    refused(path, reason)


def test_a_checksum_is_compared_beyond_the_first_read(tmp_path):
    X, path = np.zeros((2000, 80, 10)), tmp_path / "a.npz"
    np.savez(path, X=X)
    content = bytearray(path.read_bytes())
    content[-5000] ^= 1
    path.write_bytes(content)
    refused(path, "Bad CRC-32 for file 'X.npy'")


@pytest.mark.parametrize("promised", [2**27, 2**32 - 2**13])
def test_members_that_promise_more_than_there_is(promised, tmp_path):
    """A bomb takes memory in proportion to its file, and so does a lie."""
    path, body = tmp_path / "a.npz", npy(shape=((promised - 2**12) // 8,))
    content = npz(zipfile.ZIP_DEFLATED, **{"X.npy": body})
    path.write_bytes(patched(content, CENTRAL, 24, struct.pack("<I", promised)))
    tracemalloc.start()
    refused(path, "which cannot be in")
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_a_directory_of_many_megabytes(tmp_path):
    path, size = tmp_path / "a.npz", 2**24
    with open(path, "wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, size, 0, 0))
    refused(path, "its directory takes 16777216 bytes, more than 8388608")


def test_a_member_that_is_longer_than_its_array(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(zipfile.ZIP_DEFLATED, **{"X.npy": npy() + bytes(2**26)}))
    tracemalloc.start()
    np.testing.assert_array_equal(read(path), A)  # as NumPy reads it
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_what_is_no_regular_file(suffix, tmp_path):
    for make in (os.mkdir, *([os.mkfifo] if hasattr(os, "mkfifo") else [])):
        path = tmp_path / f"{make.__name__}.{suffix}"
        make(path)
        refused(path, "no regular file")
    if sys.platform.startswith("linux"):
        path = tmp_path / f"zero.{suffix}"
        path.symlink_to("/dev/zero")
        refused(path, "no regular file")
    with pytest.raises(ValueError, match="^X: .*null"):
        read(f"a\0.{suffix}")


@pytest.mark.parametrize("kind", ["npy", "stored", "deflated"])
def test_flipped_bytes_and_cut_files(kind, tmp_path):
    """2,500 small damages: the numbers are as they were, or the error is the one above.

    The numbers of an .npy file have no checksum.
    """
    methods = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}
    content = npy() if kind == "npy" else npz(methods[kind])
    path = tmp_path / f"a.{kind[:3] if kind == 'npy' else 'npz'}"
    rng, header = np.random.default_rng(0), len(npy()) - A.nbytes
    for _ in range(500):
        damaged = bytearray(content)
        if rng.random() < 0.2:
            del damaged[rng.integers(len(content)) :]
        for at in rng.integers(len(damaged) or 1, size=rng.integers(1, 4)):
            if at < len(damaged):
                damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of NumPy: a header of Python 2
                found = read(path)
        except ValueError as error:
            assert type(error) is ValueError and str(error).startswith(f"X: {path}: ")
        else:
            if kind != "npy":  # the directory may lie about what no reader looks at
                np.testing.assert_array_equal(found, A)
            elif damaged[:header] == content[:header]:
                assert found.shape == A.shape


def test_a_model_is_untouched(tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(b"x")
    m = GRU(2, 4, seed=0)
    before = flat(m)
    for call in (m.fit, m.evaluate):
        with pytest.raises(ValueError, match=rf"^X: {path}: .*not a zip file"):
            call(path, path)
    with pytest.raises(ValueError, match=rf"^validation X: {path}: "):
        m.fit(A, [0, 1, 0, 1], validation_data=(path, path))
    np.testing.assert_array_equal(flat(m), before)
