"""Standard output and standard error of a command, which may be closed or lead to nobody."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TextIO


def stdout() -> TextIO:
    """Return standard output.

    Raises
    ------
    OSError
        The command was started without one.
    """
    if sys.stdout is None or sys.stdout.closed:
        raise OSError(errno.EBADF, "standard output is closed")
    return sys.stdout


def say(text: str) -> None:
    """Print a line to standard output at once; replace characters that its encoding lacks.

    Raises
    ------
    OSError
        It cannot be written; BrokenPipeError: its reader, such as `head`, has ended.
    """
    stream = stdout()
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def complain(text: str) -> None:
    """Print a line to standard error, if it can be written."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(text, file=sys.stderr)


def settle() -> None:
    """Flush both streams; point one that fails to nowhere.

    Python flushes them once more at its end, and would fail with status 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
