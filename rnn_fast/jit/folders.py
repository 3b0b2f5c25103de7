"""Folders of compiled programs: files are read, written and deleted by descriptor."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from .trust import HAS_DESCRIPTORS, check_file, open_trusted

MAX_BYTES = 16 << 20  #: of a file that is read; the largest program has 213 kB
DAY = 86400.0  #: seconds; the time of a file's last use is right to a day
_SAFE = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for a writer
    | getattr(os, "O_BINARY", 0)
)


class Folder:
    """An open folder that only this user and root can change; on Windows, a path.

    Parameters
    ----------
    path : str
    create : bool
        Make the folder, and those above it, if need be.

    Raises
    ------
    OSError
        There is no such folder, or other users could change it or a folder above it.
    """

    def __init__(self, path: str, create: bool = False) -> None:
        if path.startswith("~"):
            raise FileNotFoundError(f"no home folder for {path}")
        self.path = os.path.join(os.getcwd(), path)
        self._descriptor: int | None = None
        if HAS_DESCRIPTORS:
            self._descriptor = open_trusted(self.path, create)
        elif create:
            os.makedirs(self.path, exist_ok=True)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _at(self, name: str) -> dict[str, Any]:
        """Return the arguments that name a file to a function of `os`."""
        if self._descriptor is None:
            return {"path": os.path.join(self.path, name)}
        return {"path": name, "dir_fd": self._descriptor}

    def open(self, name: str, flags: int) -> int:
        """Return a descriptor of a file, made with mode 0600 if `flags` say so."""
        return os.open(flags=flags | _SAFE, mode=0o600, **self._at(name))

    def read(self, name: str) -> bytes:
        """Return the contents of a file, and mark it as used today.

        Raises
        ------
        OSError
            There is no such file, it is too large, or other users could have written it.
        """
        path = os.path.join(self.path, name)
        with open(self.open(name, os.O_RDONLY), "rb") as file:
            info = os.fstat(file.fileno())
            if HAS_DESCRIPTORS:
                check_file(path, info)
            if info.st_size > MAX_BYTES:
                raise OSError(f"{path} has {info.st_size} bytes")
            if time.time() - info.st_mtime > DAY:
                with contextlib.suppress(OSError):  # root's file, or a read-only file system
                    os.utime(file.fileno() if os.utime in os.supports_fd else path)
            return file.read(MAX_BYTES)

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place whole, or raise OSError."""
        temporary = f"{name}.{os.urandom(8).hex()}.tmp"
        descriptor = self.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
            if self._descriptor is None:
                os.replace(os.path.join(self.path, temporary), os.path.join(self.path, name))
            else:
                folder = self._descriptor
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                self.remove(temporary)
            raise

    def remove(self, name: str) -> None:
        """Delete a file."""
        os.unlink(**self._at(name))

    def is_named(self, name: str, descriptor: int) -> bool:
        """Return whether an open file still has its name."""
        try:
            named = os.stat(follow_symlinks=False, **self._at(name))
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(descriptor))

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the name and state of each entry."""
        for name in self._names():
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                yield name, os.stat(follow_symlinks=False, **self._at(name))

    def _names(self) -> list[str]:
        if self._descriptor is None:
            return os.listdir(self.path)
        listed = os.open(".", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._descriptor)
        try:
            return os.listdir(listed)
        finally:
            os.close(listed)
