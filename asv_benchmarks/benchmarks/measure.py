"""Robust measure: the time of a workload divided by the time of a calibration.

Workload and calibration run in turn in one process, for about half a millisecond each.  The figure
is the median of the quotients.  A slow machine slows both, and an interrupt spoils only one
quotient of many.
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

#: True while the gate compiles all programs; nothing is measured then
PREPARING = "RNN_FAST_BENCH_PREPARE" in os.environ
if PREPARING:
    with contextlib.suppress(ImportError):  # once, before asv forks for each benchmark
        import rnn_fast.kernels.batch.program
        import rnn_fast.kernels.single.program  # noqa: F401
SLICE = 5e-4  #: approximate seconds of a turn, shorter than a scheduler's time slice


def sgemm() -> Callable[[int], None]:
    """Return NumPy's product of 128 x 128 matrices, 2**21 multiply-adds."""
    a, b = np.full((2, 128, 128), 0.01, np.float32)
    out = np.empty_like(a)

    def work(times: int) -> None:
        for _ in range(times):
            np.matmul(a, b, out=out)

    return work


CALIBRATIONS = {"tile": tile.make, "sgemm": sgemm}


class Clock:
    """Wall-clock seconds, except the time that this thread waited in the run queue of its core.

    Other processes on the core therefore add no time.  A workload that sleeps or waits does.
    Only Linux reports the time in the run queue.  Other systems report none, and it counts.

    Attributes
    ----------
    waited : int
        Nanoseconds in the run queue so far.
    """

    def __init__(self) -> None:
        self.waited = 0
        try:  # each clock opens the file of its thread
            self.file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self.file = -1

    def __call__(self) -> float:
        """Return the time in seconds; only differences have a meaning."""
        while True:  # no wait may fall between the two readings, or it would count twice
            now, before, self.waited = perf_counter(), self.waited, self._in_line()
            if self.waited == before:
                return now - 1e-9 * before

    def _in_line(self) -> int:
        return int(os.pread(self.file, 64, 0).split()[1]) if self.file >= 0 else 0


def seconds(work: Callable[[int], None], times: int, clock: Callable[[], float]) -> float:
    """Return the seconds that `work` takes."""
    start = clock()
    work(times)
    return clock() - start


def times_in(work: Callable[[int], None], clock: Clock) -> int:
    """Return how many repetitions take about a `SLICE`, by the fastest of three trials.

    The trials also warm up the workload.
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
    """Return quotients: time of the workload / mean time of the calibrations before and after.

    Measurement goes on for `budget` seconds of this thread, and for at least 5 quotients.  Another
    process that interrupts a quotient leaves the caches cold.  Interrupted quotients are left out
    if at least 5 others exist.
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
    """Return the median of the `quotients`.

    Parameters
    ----------
    work : callable
        ``work(n)`` repeats the workload n times.
    calibration : str
        Key in `CALIBRATIONS`.
    budget : float
        Approximate seconds of the measurement.
    """
    work(1)
    if PREPARING:
        return math.inf
    return median(quotients(work, CALIBRATIONS[calibration](), budget))
