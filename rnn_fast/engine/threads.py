"""Threads that help with a compiled program, and how many of them there may be.

A `Team` belongs to one training or prediction and ends with it.  No thread remains that a fork
could break or that another library would meet.  All teams of a process share its cores: a team
that finds no free core runs on one thread.  Results have the same bits with any number of threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import queue
import sys
import weakref
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import validation
from ..layout.batch_records import TEAM

#: variables that limit the threads of a process; the first that is set counts.  joblib, Dask and
#: job schedulers set the second for all libraries.
LIMITS = ("RNN_FAST_NUM_THREADS", "OMP_NUM_THREADS")


def bound_cores() -> int:
    """Return the number of cores that this process is bound to."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache  # a tenth of the time of a small prediction
def container_quota() -> int:
    """Return the whole cores of processor time that a Linux container may use."""
    try:
        share, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(share) / int(period)))
    except (OSError, ValueError):  # no such file; "max"
        return sys.maxsize


def available(
    environ: Mapping[str, str] = os.environ,
    bound: Callable[[], int] = bound_cores,
    quota: Callable[[], int] = container_quota,
) -> int:
    """Return the number of cores that this process may use.

    Parameters
    ----------
    environ : mapping
        Variables, of which `LIMITS` count.
    bound, quota : callable
        Return the cores that the process is bound to, and the cores that its container grants.
    """
    n_cores = bound()
    for name in LIMITS:
        limit = environ.get(name, "").partition(",")[0]  # of nested levels, the outer one
        if limit.isdigit() and int(limit) > 0:
            return int(limit) if name == LIMITS[0] else min(n_cores, int(limit))
    return max(1, min(n_cores, quota()))


def wanted(n_threads: Any) -> int:
    """Return `n_threads` as a number of threads; None stands for all cores of this process.

    Raises
    ------
    TypeError, ValueError
        `n_threads` is not an integer of at least 1.
    """
    return available() if n_threads is None else validation.whole("n_threads", n_threads)


# ------------------------------------------------------------------------------ sharing the cores


class Cores:
    """Count of the threads that are at work in compiled programs.

    There is no lock, which an exception from elsewhere could leave locked.  Two teams that count at
    the same moment may take the same core.

    Parameters
    ----------
    available : callable
        Returns the number of cores to share.
    """

    def __init__(self, available: Callable[[], int] = available):
        self._available = available
        self.free_all()

    def free_all(self) -> None:
        """Count no thread as being at work."""
        # by the identity of a team; one that could not free its cores frees them with its end
        self._taken: dict[int, tuple[weakref.ref[Any], int]] = {}

    @property
    def n_busy(self) -> int:
        """Threads that are at work."""
        return sum(n for team, n in list(self._taken.values()) if team() is not None)

    def take(self, team: object, n_wanted: int) -> int:
        """Take up to `n_wanted` cores for a team, and at least one; return the number of them."""
        n = n_wanted
        if n > 1 and (n_busy := self.n_busy):  # others are at work: take the free cores
            n = max(1, min(n, self._available() - n_busy))
        self._taken[id(team)] = weakref.ref(team), n
        return n

    def free(self, team: object) -> None:
        """Free the cores of a team."""
        self._taken.pop(id(team), None)

    @contextlib.contextmanager
    def taken(self, team: object, n_wanted: int) -> Iterator[int]:
        """Take cores as `take` for a ``with`` block; yield the number of them."""
        n = self.take(team, n_wanted)
        try:
            yield n
        finally:
            self.free(team)


CORES = Cores()  # shared by all teams of the process
if hasattr(os, "register_at_fork"):  # the threads that were at work are not in the child
    os.register_at_fork(after_in_child=CORES.free_all)


# ------------------------------------------------------------------------------------------ teams


class Helper:
    """A thread that does one piece of work after the other.

    The queues are written in C: an exception that comes from a signal or another thread finds an
    item either in them or not.  `threading.Thread` is not, see `prefetch.start`, and starts in
    twice the time.
    """

    def __init__(self) -> None:
        self._works: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._at_work = allocate_lock()
        self._at_work.acquire()
        start_new_thread(self._serve, ())

    def _serve(self) -> None:
        try:
            while (work := self._works.get()) is not None:
                try:
                    work()
                finally:
                    del work  # or its arrays would live until the next
                    self._done.put(None)
        finally:
            self._at_work.release()

    def begin(self, work: Callable[[], None]) -> None:
        """Begin to do `work`."""
        self._works.put(work)

    def wait(self) -> None:
        """Wait until the work is done."""
        self._done.get()

    def end(self) -> None:
        """End the thread."""
        self._works.put(None)
        with self._at_work:
            pass


class Team:
    """Up to `size` threads, the calling one included, for one program after the other.

    One thread uses a team, in a ``with`` block, at whose end the other threads end.  They start
    with the first program that has work for them.

    Parameters
    ----------
    size : int
    cores : Cores
        Cores to share with other teams.
    hire : callable
        Starts and returns a `Helper`; a RuntimeError says that there are no more threads.

    Attributes
    ----------
    sync : (TEAM.end,) int64 array
        Memory in which the threads of a program meet, see `kernels.team`.
    """

    def __init__(
        self, size: int = 1, cores: Cores = CORES, hire: Callable[[], Helper] = Helper
    ) -> None:
        self.size, self._cores, self._hire = size, cores, hire
        self._helpers: list[Helper] = []
        self._sync: np.ndarray | None = None

    @property
    def sync(self) -> np.ndarray:
        """Memory for the threads to meet in, made on first use."""
        if self._sync is None:
            memory = np.zeros(TEAM.end + 8, np.int64)
            start = -(memory.ctypes.data // 8) % 8
            memory[start + TEAM.sleep] = _sleep_address()
            self._sync = memory[start : start + TEAM.end]
        return self._sync

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *error: object) -> None:
        if self._sync is not None:
            self._sync[TEAM.ticket] = -1  # should an exception have come in midst of a program
        for helper in self._helpers:
            helper.end()
        self._helpers.clear()

    @contextlib.contextmanager
    def taken(self, n_useful: int) -> Iterator[int]:
        """Take cores for a program in which `n_useful` threads have work; yield their number."""
        with self._cores.taken(self, min(self.size, n_useful)) as n:
            with contextlib.suppress(RuntimeError):  # go on with fewer threads
                while len(self._helpers) < n - 1:
                    self._helpers.append(self._hire())
            yield min(n, 1 + len(self._helpers))

    def run(self, lead: Callable[[], None], helps: Sequence[Callable[[], None]]) -> None:
        """Run `lead` in this thread and each of `helps` in a thread of its own; wait for all.

        After an exception the team is of no further use: helpers may still be at work, on memory
        that `helps` keep alive, and end with the team.
        """
        self.sync[TEAM.ticket] = self.sync[TEAM.done] = 0
        working = self._helpers[: len(helps)]
        for helper, help_ in zip(working, helps, strict=True):
            helper.begin(help_)
        lead()
        for helper in working:
            helper.wait()


@functools.cache
def _sleep_address() -> int:
    """Return the address of the C library's ``int usleep(unsigned microseconds)``, or 0.

    Windows has no shorter sleep than a millisecond, which is too long: its threads only pause.
    """
    try:
        return ctypes.cast(ctypes.CDLL(None).usleep, ctypes.c_void_p).value or 0
    except (OSError, AttributeError, TypeError):  # Windows takes no None
        return 0
