"""Two processes that measure in turn, a few milliseconds each: the gate's base and head.

So what happens on the machine happens to both alike: a neighbour on the other half of a core, which
takes a part of its caches, stays for seconds and costs one kernel a tenth and another a half.
"""

from __future__ import annotations

import contextlib
import os
import socket
from time import monotonic, sleep

VARIABLE = "RNN_FAST_BENCH_TURNS"  #: "base:FOLDER" or "head:FOLDER"; no such folder: alone
MEETING = 20.0  #: seconds to wait for the other at first
PATIENCE = 60.0  #: and for one's turn


class Turns:
    """The place of this process; alone, or once the other has gone, it is always its turn."""

    def __init__(self, place: str | None = None) -> None:
        self.other: socket.socket | None = None
        place = os.environ.get(VARIABLE, "") if place is None else place
        side, _, folder = place.partition(":")
        if os.path.isdir(folder) and hasattr(socket, "AF_UNIX"):
            with contextlib.suppress(OSError):  # the other does not come
                self.other = (listen if side == "base" else connect)(os.path.join(folder, "turn"))
                self.other.settimeout(PATIENCE)
        self.gives = side == "base"  # head begins

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, *exception: object) -> None:
        self._part()

    def take(self) -> None:
        """Give the turn to the other, and wait until it comes back."""
        if self.other is None:
            return
        try:
            if self.gives:
                self.other.sendall(b".")
            if not self.other.recv(1):
                self._part()
        except OSError:
            self._part()
        self.gives = True

    def _part(self) -> None:
        if self.other is not None:
            self.other.close()
            self.other = None


def listen(address: str) -> socket.socket:
    """Wait for the other."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(address)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.settimeout(MEETING)
        waiting.bind(address)
        waiting.listen(1)
        return waiting.accept()[0]


def connect(address: str) -> socket.socket:
    """Go to where the other waits."""
    end = monotonic() + MEETING
    while True:
        found = socket.socket(socket.AF_UNIX)
        try:
            found.connect(address)
            return found
        except OSError:  # it is not there yet
            found.close()
            if monotonic() > end:
                raise
            sleep(0.001)
