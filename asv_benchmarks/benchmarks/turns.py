"""Turns of two processes, the gate's base and head, of a few milliseconds each.

Turns expose both processes to the same events on the machine.  A neighbour on the other hardware
thread of a core takes part of its caches for seconds.  One kernel is then slower by a tenth,
another by a half.
"""

from __future__ import annotations

import contextlib
import os
import socket
from time import monotonic, sleep

VARIABLE = "RNN_FAST_BENCH_TURNS"  #: "base:FOLDER" or "head:FOLDER"; alone if not a folder
MEETING = 20.0  #: seconds to wait for the other process to connect
PATIENCE = 60.0  #: seconds to wait for a turn


class Turns:
    """Turns of this process.  Without another process, every turn belongs to this one."""

    def __init__(self, place: str | None = None) -> None:
        self.other: socket.socket | None = None
        place = os.environ.get(VARIABLE, "") if place is None else place
        side, _, folder = place.partition(":")
        if os.path.isdir(folder) and hasattr(socket, "AF_UNIX"):
            with contextlib.suppress(OSError):  # the other never connects
                self.other = (listen if side == "base" else connect)(os.path.join(folder, "turn"))
                self.other.settimeout(PATIENCE)
        self.gives = side == "base"  # head begins

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, *exception: object) -> None:
        self._part()

    def take(self) -> None:
        """Pass the turn to the other process, and wait until it comes back."""
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
    """Wait for the other process to connect."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(address)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.settimeout(MEETING)
        waiting.bind(address)
        waiting.listen(1)
        return waiting.accept()[0]


def connect(address: str) -> socket.socket:
    """Connect to the process that listens at `address`."""
    end = monotonic() + MEETING
    while True:
        found = socket.socket(socket.AF_UNIX)
        try:
            found.connect(address)
            return found
        except OSError:  # it does not listen yet
            found.close()
            if monotonic() > end:
                raise
            sleep(0.001)
