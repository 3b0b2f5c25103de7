"""Forks: a child finds neither a lock that nobody will release nor a compilation half done.

A fork copies one thread.  What the other threads of the parent had begun stays as it is in the
child: locks held, modules half imported, Numba's tables and LLVM's memory in between two states,
Python's collector paused.  So a fork waits until no thread compiles or loads a program.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

PATIENCE = 30.0  #: seconds that a fork waits for one lock; the slowest program compiles in 10


class Loading:
    """The lock of the one thread that imports Numba or LLVM, compiles, or loads a program."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    def __enter__(self) -> None:
        guard_forks()
        self.lock.acquire()

    def __exit__(self, *error: Any) -> None:
        self.lock.release()


LOADING = Loading()


def locks_of_compilers() -> list[tuple[Any, str]]:
    """Return owner and attribute of each lock, in the order in which threads take them.

    Users compile functions of their own too, without `LOADING`.
    """
    locks: list[tuple[Any, str]] = [(LOADING, "lock")]
    for module, path in (
        ("numba.core.compiler_lock", ("global_compiler_lock",)),
        ("llvmlite.binding.ffi", ("lib", "_lock")),
    ):
        owner = sys.modules.get(module)
        for attribute in path:
            owner = getattr(owner, attribute, None)  # None while another thread imports it
        if owner is not None:
            locks.append((owner, "_lock"))
    return locks


class ForkGuard:
    """Take locks before a fork, and release them in parent and child.

    A lock that cannot be had is replaced in the child.

    Parameters
    ----------
    locks : callable
        Returns owner and attribute of each re-entrant lock.
    patience : float
        Seconds to wait for each.  A thread that compiles may wait for the one that forks: in the
        midst of an import, say.
    """

    def __init__(self, locks: Callable[[], list[tuple[Any, str]]], patience: float) -> None:
        self.locks, self.patience = locks, patience
        self._of_thread = threading.local()

    def before(self) -> None:
        """Take the locks."""
        taken = self._of_thread.taken = []
        for owner, name in self.locks():
            if getattr(owner, name).acquire(timeout=self.patience):
                taken.append((owner, name))

    def in_parent(self) -> None:
        """Release the locks."""
        taken = self._of_thread.taken
        while taken:
            owner, name = taken.pop()
            getattr(owner, name).release()

    def in_child(self) -> None:
        """Release the locks, and replace those that a thread of the parent has."""
        self.in_parent()
        for owner, name in self.locks():
            if getattr(owner, name).acquire(blocking=False):
                getattr(owner, name).release()
            else:
                setattr(owner, name, threading.RLock())


@functools.cache
def guard_forks() -> None:
    """Let forks wait from now on; the first program that is loaded asks for it."""
    import logging  # noqa: F401  A fork holds its lock, unless it came before this

    guard = ForkGuard(locks_of_compilers, PATIENCE)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=guard.before, after_in_parent=guard.in_parent, after_in_child=guard.in_child
        )
