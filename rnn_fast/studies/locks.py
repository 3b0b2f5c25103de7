"""A lock that lets one process train a study."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

from ..saving.files import target_of
from ..validation import path


@contextlib.contextmanager
def sole_writer(store: Any) -> Iterator[None]:
    """Hold ``<store>.lock``, which the system releases when its holder ends.

    Where a file system has no locks, go on without.

    Raises
    ------
    BlockingIOError
        Another process, or another thread of this one, holds it.
    OSError
        There is no such folder, it takes no file, or `store` is no regular file.
    """
    if store is None:
        yield
        return
    name = target_of("store", path("store", store)) + ".lock"
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):
            text = "another process trains a study in this store"
            raise BlockingIOError(errno.EAGAIN, text, path("store", store)) from None
        except OSError:
            pass
        yield
        with contextlib.suppress(OSError):  # Windows removes no open file
            os.remove(name)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock an open file, or raise OSError."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
