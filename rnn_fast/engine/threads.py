"""Threads that help with a compiled program, and how many there may be.

A `Team` belongs to one training or prediction and ends with it: nothing stays behind that a fork
could break or another library would meet.  All teams of a process share its cores: who finds them
taken works alone.  Results have the same bits with any number of threads, so that nothing but the
time depends on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import validation
from ..layout.batch_records import TEAM

#: what limits the threads of a process, the first that is set: ours, then what joblib, Dask and
#: job schedulers set for all libraries
LIMITS = ("RNN_FAST_NUM_THREADS", "OMP_NUM_THREADS")


def available() -> int:
    """Cores that this process may use: those it is bound to, within the limits that are set."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for name in LIMITS:
        limit = os.environ.get(name, "").partition(",")[0]  # of nested levels, the outer one
        if limit.isdigit() and int(limit) > 0:
            return min(cores, int(limit)) if name != LIMITS[0] else int(limit)
    return max(1, min(cores, quota()))


def quota() -> int:
    """Whole cores of processor time that a Linux container may use."""
    try:
        share, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(share) / int(period)))
    except (OSError, ValueError):  # no such file; "max"
        return sys.maxsize


def wanted(n_threads: Any) -> int:
    """`n_threads` as a number of threads; None for all cores that this process may use.

    Raises
    ------
    TypeError, ValueError
        Not an integer of at least 1.
    """
    return available() if n_threads is None else validation.whole("n_threads", n_threads)


# ------------------------------------------------------------------------------ sharing the cores


class Cores:
    """How many threads of this process are at work in compiled programs."""

    def __init__(self) -> None:
        self.lock, self.busy = threading.Lock(), 0

    @contextlib.contextmanager
    def taken(self, wanted: int) -> Iterator[int]:
        """Take up to `wanted` cores, at least one; gives how many."""
        with self.lock:
            n = wanted
            if n > 1 and self.busy:  # others are at work: what they leave
                n = max(1, min(n, available() - self.busy))
            self.busy += n
        try:
            yield n
        finally:
            with self.lock:
                self.busy -= n


cores = Cores()
if hasattr(os, "register_at_fork"):  # the threads that were at work are not in the child
    os.register_at_fork(after_in_child=cores.__init__)  # type: ignore[misc]


# ------------------------------------------------------------------------------------------ teams


@functools.cache
def _sleep_address() -> int:
    """Address of the C library's ``int usleep(unsigned microseconds)``; 0 where there is none.

    Windows can only sleep for milliseconds, which is too long: there threads only pause.
    """
    try:
        return ctypes.cast(ctypes.CDLL(None).usleep, ctypes.c_void_p).value or 0
    except (OSError, AttributeError, TypeError):  # Windows takes no None
        return 0


class Team:
    """Up to `size` threads, this one counted, for programs one after the other.

    To be used by one thread, in a ``with`` block, at whose end the others end.  They start with
    the first program that has work for them.

    Attributes
    ----------
    sync : (TEAM.end,) int64 array
        What the threads of a program meet in, see `layers.team`.
    """

    def __init__(self, size: int = 1):
        self.size = size
        self._helpers: list[Helper] = []
        memory = np.zeros(TEAM.end + 8, np.int64)
        start = -(memory.ctypes.data // 8) % 8
        self.sync = memory[start : start + TEAM.end]
        self.sync[TEAM.sleep] = _sleep_address()

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *error: object) -> None:
        for helper in self._helpers:
            helper.end()
        self._helpers.clear()

    @contextlib.contextmanager
    def taken(self, useful: int) -> Iterator[int]:
        """Take cores for a program in which `useful` threads have work; gives how many."""
        with cores.taken(min(self.size, useful)) as n:
            self._hire(n - 1)
            yield min(n, 1 + len(self._helpers))

    def _hire(self, n: int) -> None:
        with contextlib.suppress(RuntimeError):  # no more threads to be had: go on with fewer
            while len(self._helpers) < n:
                self._helpers.append(Helper())

    def run(self, lead: Callable[[], None], helps: Sequence[Callable[[], None]]) -> None:
        """Run `lead` here, and each of `helps` in a thread of its own; wait for all."""
        self.sync[TEAM.ticket] = self.sync[TEAM.done] = 0
        working = self._helpers[: len(helps)]
        try:
            for helper, help_ in zip(working, helps, strict=True):
                helper.begin(help_)
            lead()
        finally:
            self.sync[TEAM.ticket] = -1  # should `lead` not have come to its end
            for helper in working:
                helper.wait()


class Helper:
    """A thread that does what it is given."""

    def __init__(self) -> None:
        self._given, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self._work: Callable[[], None] | None = None
        self._at_work = False
        self._thread = threading.Thread(target=self._serve, name="rnn_fast helper", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            self._given.acquire()
            if self._work is None:
                return
            try:
                self._work()
            finally:
                self._work = None
                self.done.release()

    def begin(self, work: Callable[[], None]) -> None:
        """Do `work`."""
        self._work, self._at_work = work, True
        self._given.release()

    def wait(self) -> None:
        """Wait until it is done; a KeyboardInterrupt has to wait as well."""
        interrupted = None
        while self._at_work:
            try:
                self.done.acquire()
                self._at_work = False
            except KeyboardInterrupt as error:
                interrupted = error
        if interrupted:
            raise interrupted

    def end(self) -> None:
        """Let the thread end."""
        self._given.release()
        self._thread.join()
