"""NumPy's files, .npy and .npz, opened once and read by their descriptor.

A file that replaces an open one under its name changes nothing.  Files are damaged, foreign and
hostile: sizes are compared with the file's before anything is read or allocated, so that time and
memory stay in proportion to the file.  Anything wrong raises some exception; `opened` in `readers`
turns each into one.
"""

from __future__ import annotations

import io
import math
import os
import stat
import struct
import weakref
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .slices import Slices, read_exactly, read_strided

if TYPE_CHECKING:  # imported where an archive is opened: it takes 2 ms
    import zipfile

#: bytes of the longest header that is read, more than NumPy writes or reads
HEADER = 2**14
#: bytes of the longest directory of an .npz file, some 100,000 arrays
DIRECTORY = 2**23
#: bytes that are read at once from an array in an .npz file
CHUNK = 2**20
#: bytes that a compressed byte stands for, at most, and a few bytes more of very small arrays
DEFLATED, SPARE = 1032, 4096


class File:
    """A regular file, open until nothing refers to it.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is a folder, a pipe or a device; these are not opened.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is no regular file")
        # not blocking: it may have become a pipe since
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        self.descriptor = os.open(path, flags)
        weakref.finalize(self, os.close, self.descriptor)
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        self.size = status.st_size
        self._archive: zipfile.ZipFile | None = None

    def read_at(self, buffer: np.ndarray, place: int) -> None:
        """Fill a vector of bytes; EOFError if the file ends before."""
        read_exactly(self.descriptor, buffer, place)

    def archive(self) -> zipfile.ZipFile:
        """Return the file as an .npz file."""
        if self._archive is None:
            import zipfile

            self._archive = zipfile.ZipFile(Stream(self))
        return self._archive


class Stream(io.RawIOBase):
    """A file from its start, as `zipfile` reads it.  It refuses reads larger than a directory."""

    def __init__(self, file: File):
        self.read_at, self.size, self.place = file.read_at, file.size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self.place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.size}[whence]
        if place < 0:
            raise OSError("a place before the start of the file")
        self.place = place
        return place

    def read(self, n: int = -1) -> bytes:
        """Return the next n bytes, or all that there are."""
        left = max(0, self.size - self.place)
        n = left if n < 0 else min(n, left)
        if n > DIRECTORY:
            raise ValueError(f"its directory takes {n} bytes, more than {DIRECTORY}")
        buffer = np.empty(n, np.uint8)
        self.read_at(buffer, self.place)
        self.place += n
        return buffer.tobytes()


class Header(NamedTuple):
    """The layout of an array in a file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    is_fortran: bool
    start: int  #: bytes before the first number
    size: int  #: bytes of the numbers


class FileSlices(Slices):
    """An array in a file.

    It is no mapping: mapped pages would count as this process's memory, and reading them would end
    the process if the file had been cut short or its disk failed.
    """

    def __init__(self, file: File, header: Header, start: int = 0):
        super().__init__(header.shape, header.dtype)
        self.file, self.start = file, start + header.start
        self.strides = strides_of(header.shape, header.dtype.itemsize, header.is_fortran)

    def _read(self, name: str, start: int, stop: int) -> np.ndarray:
        out = np.empty((stop - start, *self.shape[1:]), self.dtype)
        try:
            first = self.start + start * self.strides[0]
            read_strided(self.file.read_at, first, self.strides, out)
        except EOFError as error:
            raise OSError(f"{os.fspath(self.file.path)}: {error}") from None
        return out


def strides_of(shape: tuple[int, ...], itemsize: int, is_fortran: bool) -> tuple[int, ...]:
    """Return the strides of an array whose numbers lie side by side."""
    if is_fortran:
        return strides_of(shape[::-1], itemsize, False)[::-1]
    return tuple(itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def read_header(head: bytes, size: int) -> Header:
    """Return the header of an .npy file of `size` bytes, whose first bytes are `head`."""
    stream = io.BytesIO(head[:HEADER])
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version in ((2, 0), (3, 0)):  # alike, except for names of fields
        shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"it is of version {version}, which is unknown")
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read (allow_pickle)")
    if dtype.kind not in "biuf":
        raise ValueError(f"it holds {dtype}, not real numbers")
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise ValueError(f"it holds an array of shape {shape}")
    header = Header(dtype, shape, is_fortran, stream.tell(), dtype.itemsize * math.prod(shape))
    if header.size > size - header.start:
        raise ValueError(
            f"it ends before its numbers: its header says {header.size} bytes, and there are "
            f"{size - header.start}"
        )
    return header


def npy_array(file: File) -> FileSlices:
    """Return the array of an .npy file, unread."""
    head = np.empty(min(HEADER, file.size), np.uint8)
    file.read_at(head, 0)
    return FileSlices(file, read_header(head.tobytes(), file.size))


def npz_array(file: File, name: str) -> np.ndarray | FileSlices:
    """Return an array of an .npz file: unread, or in memory if it is compressed.

    Both are read once, for the checksum: 0.6 s a GB.
    """
    import zipfile

    archive, member = file.archive(), f"{name}.npy"
    names = archive.namelist()
    if names.count(member) != 1:
        if member in names:
            raise ValueError(f"it holds {name} {names.count(member)} times")
        others = ", ".join(each.removesuffix(".npy") for each in names) or "nothing"
        raise ValueError(f"no array {name}; it holds {others}")
    info = archive.getinfo(member)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        return _inflated(archive, info)
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member} is compressed by method {info.compress_type}, unknown to NumPy")
    if info.file_size != info.compress_size:
        raise ValueError(f"{member} has two sizes")
    with archive.open(info) as stream:
        head = stream.read(HEADER)
        header = read_header(head, info.file_size)
        while stream.read(CHUNK):
            pass  # at the end, `zipfile` compares the checksum
    return FileSlices(file, header, _start(file, info))


def _start(file: File, info: zipfile.ZipInfo) -> int:
    """Return the place of a member's first byte, behind its local header."""
    local = np.empty(30, np.uint8)
    file.read_at(local, info.header_offset)
    return info.header_offset + 30 + sum(struct.unpack("<HH", local[26:].tobytes()))


def _inflated(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Return a compressed array."""
    if info.file_size > DEFLATED * info.compress_size + SPARE:
        raise ValueError(
            f"{info.filename} is to have {info.file_size} bytes, which cannot be in "
            f"{info.compress_size} compressed ones"
        )
    with archive.open(info) as stream:
        head = stream.read(HEADER)
        header = read_header(head, info.file_size)
        numbers, n = np.empty(header.size, np.uint8), 0
        part = head[header.start :]
        while part:
            part = part[: header.size - n]
            numbers[n : n + len(part)] = np.frombuffer(part, np.uint8)
            n += len(part)
            part = stream.read(CHUNK)
            if n == header.size:
                break
    if n < header.size:
        raise EOFError("it ends before its numbers")
    strides = strides_of(header.shape, header.dtype.itemsize, header.is_fortran)
    return np.ndarray(header.shape, header.dtype, numbers, strides=strides)
