"""Locks between processes: files that the system unlocks when their holder ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator

from .folders import Folder

PATIENCE = 120.0  #: seconds to wait for another process, which may be suspended
POLL = 0.02  #: seconds between two tries; a compilation takes some seconds

_held: dict[str, int] = {}  #: descriptors of lock files that this process holds, by path


def _try_lock(descriptor: int) -> bool:
    """Lock an open file, if no other process has locked it.

    Raises
    ------
    OSError
        The file system has no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _lock(folder: Folder, name: str, patience: float) -> int | None:
    """Return a descriptor that holds the lock file `name`, or None after `patience` seconds.

    A lock file is deleted by its holder, so a file that is locked but has lost its name counts as
    free: the next process makes another.
    """
    end = time.monotonic() + patience
    while True:
        descriptor = folder.open(name, os.O_RDWR | os.O_CREAT)
        try:
            if _try_lock(descriptor) and folder.is_named(name, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > end:
            return None
        time.sleep(POLL)


@contextlib.contextmanager
def locked(folder: Folder, name: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock file `name` of a folder, which the system releases when its holder ends.

    Go on without after `patience` seconds, and in a signal handler above a holder.

    Raises
    ------
    OSError
        The folder takes no file, or has no locks.
    """
    path = os.path.join(folder.path, name)
    descriptor = None if path in _held else _lock(folder, name, patience)
    if descriptor is None:
        yield
        return
    _held[path] = descriptor
    try:
        yield
    finally:
        if _held.get(path) == descriptor:  # else this is a child: the lock is its parent's
            del _held[path]
            with contextlib.suppress(OSError):  # Windows deletes no open file
                folder.remove(name)
            _release(descriptor)


def _release(descriptor: int) -> None:
    """Release a lock, also if a child that did not come through `os.fork` shares it."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _forget_locks() -> None:
    """Close the lock files in a child: they are its parent's."""
    for descriptor in _held.values():
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
