"""Reading ahead: a thread reads the next item while the caller works on one."""

from __future__ import annotations

import queue
import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")

AHEAD = 2  #: groups of items that are read before they are asked for
#: a group ends after so many seconds or items: to hand one over takes 20 us
GROUP_SECONDS, GROUP_ITEMS = 2e-4, 16


def start(thread: threading.Thread) -> None:
    """Start a thread.

    `Thread.start` waits by Python code.  An interrupt in the midst of it leaves the lock that the
    new thread needs with nobody (55 of 3,000 interrupted starts).  So another thread, which gets no
    signals, calls it, and the queue to wait at is written in C.

    Raises
    ------
    RuntimeError
        There are no more threads.
    """
    outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def launch() -> None:
        try:
            thread.start()
        except BaseException as error:
            outcome.put(error)
        else:
            outcome.put(None)

    start_new_thread(launch, ())
    if (error := outcome.get()) is not None:
        raise error


def read_ahead(read: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Yield ``read(item)`` of each item; a thread reads the next ones meanwhile.

    An exception of `read` or of `items` is raised when the turn of its item comes.  Items that are
    read quickly are handed over in groups.

    The queues are written in C.  `queue.Queue` is not: an interrupt in the midst of it leaves its
    lock with nobody, and the process hangs.
    """
    wishes: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False: no more
    ready: queue.SimpleQueue[tuple[deque[Any], BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        group: deque[Any] = deque()
        try:
            iterator = iter(items)
            while wishes.get():
                end = perf_counter() + GROUP_SECONDS
                while not group or (len(group) < GROUP_ITEMS and perf_counter() < end):
                    group.append(read(next(iterator)))
                ready.put((group, None))
                group = deque()
        except BaseException as error:  # of a user's generator as well
            ready.put((group, error))

    try:
        start(threading.Thread(target=work, name="rnn_fast reader", daemon=True))
        for _ in range(AHEAD):
            wishes.put(True)
        while True:
            group, error = ready.get()
            while group:
                yield group.popleft()  # nothing refers to it: two blocks would stay in memory
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            wishes.put(True)
    finally:
        wishes.put(False)
