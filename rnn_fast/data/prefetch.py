"""Reading ahead: a thread reads the next item while the caller works on one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")

AHEAD = 2  #: items that are read before they are asked for


def start(thread: threading.Thread) -> None:
    """Start a thread.

    `Thread.start` waits by Python code, in which an interrupt can come as a RuntimeError of a lock.
    The interrupt itself is raised then.

    Raises
    ------
    RuntimeError
        There are no more threads.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise error.__context__ or error from None


def read_ahead(read: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Yield ``read(item)`` of each item; a thread reads the next ones meanwhile.

    An exception of `read` or of `items` is raised when the turn of its item comes.

    The queues are written in C.  `queue.Queue` is not: an interrupt in the midst of it leaves its
    lock with nobody, and the process hangs.
    """
    wishes: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False: no more
    ready: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            iterator = iter(items)
            while wishes.get():
                ready.put((read(next(iterator)), None))
        except BaseException as error:  # of a user's generator as well
            ready.put((None, error))

    try:
        start(threading.Thread(target=work, name="rnn_fast reader", daemon=True))
        for _ in range(AHEAD):
            wishes.put(True)
        while True:
            value, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield value
            del value  # or two blocks would stay in memory
            wishes.put(True)
    finally:
        wishes.put(False)
