"""Threads that start, whatever interrupts the one that starts them."""

from __future__ import annotations

import gc
import queue
import random
import signal
import threading
import time

import pytest

from rnn_fast.data.prefetch import start


def test_a_thread_that_cannot_start_says_so():
    thread = threading.Thread(target=lambda: None)
    start(thread)
    with pytest.raises(RuntimeError, match="once"):
        start(thread)


# the interrupt may come while something is deleted
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX signals")
def test_an_interrupt_leaves_no_thread_that_waits_for_ever():
    """Of 1,000 threads that `Thread.start` alone starts, ten to twenty are left."""
    draw, n_interrupts, threads, ends = random.Random(0), 0, [], queue.SimpleQueue()

    def interrupt(number, frame):
        if started is None:
            raise KeyboardInterrupt

    before, started = signal.signal(signal.SIGALRM, interrupt), True
    try:
        for _ in range(1000):
            thread = threading.Thread(target=ends.get, daemon=True)
            threads.append(thread)
            try:
                started = None
                signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-6, 1e-4))
                start(thread)
                started = True
            except KeyboardInterrupt:
                started, n_interrupts = False, n_interrupts + 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            ends.put(None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.collect()  # here, where what it warns of is expected
    assert n_interrupts > 30
    deadline = time.monotonic() + 5
    while left := set(threads).intersection(threading.enumerate()):
        assert time.monotonic() < deadline, f"{len(left)} of {len(threads)} threads are left"
        time.sleep(0.001)
