"""Exceptions at any line, as if they came from elsewhere."""

from __future__ import annotations

import inspect
import sys


class Interrupter:
    """Raises exceptions at some lines of this thread, as if they came from elsewhere.

    Between two bytecodes of a line a trace function may not raise: Python 3.11 keeps the names of a
    call's arguments from one to the next, and calls another function with them.  Nor does it close
    a generator in which one raised.  Signals, which Python looks for where it is safe, come there.
    Nor may it raise in llvmlite, which keeps its lock then, or frees twice what it was freeing.

    Parameters
    ----------
    moments : dict of int to class of exception
        By number of line, counted from 1.
    """

    def __init__(self, moments=None):
        self.moments, self.n = moments or {}, 0

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *error):
        sys.settrace(self._before)

    def _enter(self, frame, event, argument):
        return None if frame.f_code.co_flags & inspect.CO_GENERATOR else self._step

    def _step(self, frame, event, argument):
        if event == "line":
            self.n += 1
            if self.n in self.moments:
                if not within_llvmlite(frame):
                    raise self.moments[self.n]
                self.moments[self.n + 1] = self.moments.pop(self.n)
        return self._step


def within_llvmlite(frame):
    """Return whether a frame was called from llvmlite, or is one of its own."""
    while frame is not None and "llvmlite" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None
