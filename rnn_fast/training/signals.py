"""Ctrl-C and SIGTERM in a training."""

from __future__ import annotations

import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ..errors import Terminated

try:  # `signal` wraps these, and its search for an enum takes 3 us: a `fit` calls them six times
    from _signal import SIG_DFL, getsignal  # type: ignore[import-not-found]
    from _signal import signal as set_handler
except ImportError:
    from signal import SIG_DFL, getsignal
    from signal import signal as set_handler

DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: SIG_DFL}


class Signals:
    """SIGINT and SIGTERM as exceptions, which can wait while a file is written.

    Works in a ``with`` block of the main thread.  In other threads, and for a signal that the
    program handles itself, nothing changes.  SIGINT raises KeyboardInterrupt, SIGTERM `Terminated`.
    A second signal does not wait.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._waits, self._came = False, 0

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number, default in DEFAULTS.items():
                handler = getsignal(number)
                if handler is default or (isinstance(handler, Handler) and handler.is_left):
                    self._before[number] = default
                    set_handler(number, Handler(self, default))
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            set_handler(number, handler)

    def handle(self, number: int) -> None:
        """Raise the exception of a signal, now or when the block ends."""
        if self._waits and not self._came:
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


class Handler:
    """The handler of a signal as long as its `Signals` lives.

    An exception may keep `Signals.__exit__` from putting the default back; then the handler does.
    """

    def __init__(self, signals: Signals, default: Any) -> None:
        self._signals, self._default = weakref.ref(signals), default

    @property
    def is_left(self) -> bool:
        """True if the training has ended."""
        return self._signals() is None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise the exception of a signal, or put the default back and leave it the signal."""
        signals = self._signals()
        if signals is not None:
            signals.handle(number)
        else:
            set_handler(number, self._default)
            signal.raise_signal(number)
