"""Reading ahead: a thread reads the next item while the caller works on one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


def read_ahead(read: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Yield ``read(item)`` of each item; a thread reads the next one meanwhile.

    An exception of `read` or of `items` is raised when the turn of its item comes.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=1)
    over = threading.Event()

    def put(value: Any, error: BaseException | None = None) -> None:
        while not over.is_set():
            try:
                return ready.put((value, error), timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(read(item))
                if over.is_set():
                    return
            put(None, StopIteration())
        except BaseException as error:  # of a user's generator as well
            put(None, error)

    threading.Thread(target=work, name="rnn_fast reader", daemon=True).start()
    try:
        while True:
            value, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield value
            del value  # or two blocks would stay in memory
    finally:
        over.set()
