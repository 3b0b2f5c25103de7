"""Ctrl-C and SIGTERM in a training."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ..errors import Terminated

DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Signals:
    """SIGINT and SIGTERM as exceptions, which can wait while a file is written.

    Works in a ``with`` block of the main thread.  In other threads, and for a signal that the
    program handles itself, nothing changes.  SIGINT raises KeyboardInterrupt, SIGTERM `Terminated`.
    A second signal does not wait.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._is_active, self._waits, self._came = False, False, 0

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number, default in DEFAULTS.items():
                if signal.getsignal(number) is default:
                    self._before[number] = default
                    signal.signal(number, self._handle)
        self._is_active = True
        return self

    def __exit__(self, *error: object) -> None:
        self._is_active = False
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._is_active:  # an exception kept `__exit__` from putting the default back
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
        elif self._waits and not self._came:
            self._came = number
        else:
            self._raise(number)

    def _raise(self, number: int) -> None:
        self._came = 0
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let signals wait for the end of the block, unless the block itself raises."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        if self._came:
            self._raise(self._came)
