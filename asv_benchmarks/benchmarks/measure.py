"""The noise-proof measure: a workload's time in times of a calibration beside it.

Both run in turn in one process, half a millisecond or so each, and the median of the quotients is
the figure.  What slows the machine slows both; what interrupts one spoils one quotient of many.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

from . import tile
from .turns import Turns

#: the gate compiles all programs before it measures: with this set, nothing is measured
PREPARING = "RNN_FAST_BENCH_PREPARE" in os.environ
if PREPARING:
    with contextlib.suppress(ImportError):  # once, before asv forks for each benchmark
        import rnn_fast.kernels.batch.program
        import rnn_fast.kernels.single.program  # noqa: F401
SLICE = 5e-4  #: seconds, about: shorter than what a scheduler gives to a process


def sgemm() -> Callable[[int], None]:
    """NumPy's product of 128 x 128 matrices: 2**21 multiply-adds a time."""
    a, b = np.full((2, 128, 128), 0.01, np.float32)
    out = np.empty_like(a)

    def work(times: int) -> None:
        for _ in range(times):
            np.matmul(a, b, out=out)

    return work


CALIBRATIONS = {"tile": tile.make, "sgemm": sgemm}


class Clock:
    """Seconds of this thread, but for those that it stood in line for its core.

    So a process that takes turns on the core costs nothing here, while one that waits or sleeps
    itself does.  Linux tells how long a thread stood in line; elsewhere it is counted.

    Attributes
    ----------
    waited : int
        Nanoseconds in line so far.
    """

    def __init__(self) -> None:
        self.waited = 0
        try:  # opened anew by each: it belongs to the thread
            self.file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self.file = -1

    def __call__(self) -> float:
        """Now; only differences mean something."""
        while True:  # both readings on one turn at the core, or the wait between them counts twice
            now, before, self.waited = perf_counter(), self.waited, self._in_line()
            if self.waited == before:
                return now - 1e-9 * before

    def _in_line(self) -> int:
        return int(os.pread(self.file, 64, 0).split()[1]) if self.file >= 0 else 0


def seconds(work: Callable[[int], None], times: int, clock: Callable[[], float]) -> float:
    """How long it takes."""
    start = clock()
    work(times)
    return clock() - start


def times_in(work: Callable[[int], None], clock: Clock) -> int:
    """How many times make a slice, by the fastest of three: none that was held up decides.

    This warms up as well.
    """
    times = 1
    while True:
        took = seconds(work, times, clock)
        if took < 20 * SLICE:
            took = min(took, seconds(work, times, clock), seconds(work, times, clock))
        if took > SLICE / 2:
            return times
        times = 1 + int(times * min(8, SLICE / max(took, 1e-9)))


def quotients(
    work: Callable[[int], None], calibrate: Callable[[int], None], budget: float
) -> list[float]:
    """Times of the workload in times of the calibration, each by what ran before and after.

    As many as fit into `budget` seconds of this thread, but 5 at the least.  One that another
    process broke into is left out, for that leaves the caches cold, if there are enough others.
    """
    clock = Clock()
    per_work, per_calibration = times_in(work, clock), times_in(calibrate, clock)
    found, whole, spent = [], [], 0.0
    with Turns() as turns:
        while len(found) < 5 or spent < budget:
            turns.take()
            start = clock()
            waited = clock.waited
            before = seconds(calibrate, per_calibration, clock)
            took = seconds(work, per_work, clock)
            after = seconds(calibrate, per_calibration, clock)
            found.append(took / per_work / ((before + after) / 2 / per_calibration))
            if clock.waited == waited:
                whole.append(found[-1])
            spent += clock() - start
    return whole if len(whole) >= 5 else found


def calibrated(
    work: Callable[[int], None], calibration: str = "tile", budget: float = 0.15
) -> float:
    """The median of the `quotients`.

    Parameters
    ----------
    work : callable
        ``work(n)`` does it n times.
    calibration : str
        Key in `CALIBRATIONS`.
    budget : float
        Seconds it may take, about.
    """
    work(1)
    if PREPARING:
        return math.inf
    return median(quotients(work, CALIBRATIONS[calibration](), budget))
