"""Pieces of an epoch, and whether other threads pay."""

from __future__ import annotations

from collections import deque
from statistics import median

from ..engine.threads import WORTH

LONG, SHORT = 0.1, 0.02  # seconds of a piece, after which Python looks around; of one to compare
TRUSTED = 0.2  # seconds in which a team is not doubted


GAIN = 0.95  # of the time alone that a team must stay below
RARELY = 64  # pieces between two comparisons, at most


class Pace:
    """In what pieces to work, and whether with other threads, by what the last ones took.

    Threads do not always help: another process may hold their cores, and then each waits for the
    one that was put aside.  So a team is compared with one thread alone, soon and then now and
    again, and one that does not pay is left alone for a while.  The results are the same.

    Parameters
    ----------
    guess : float
        Seconds that a unit of work takes alone, until that is measured.
    team : bool
        Whether there are other threads.
    """

    def __init__(self, guess: float, team: bool):
        self._team, self._last = team, guess
        self._alone: deque[float] = deque(maxlen=3)  # seconds of a unit
        self._first, self._rest, self._patience = True, 0, 1
        self._since, self._seconds = 0, 0.0  # pieces, and all they took, since the last comparison

    def next(self, work: float) -> tuple[float, bool]:
        """(How much of the work that is left to do now, whether with the others)."""
        doubted = self._since >= RARELY if self._alone else self._seconds > TRUSTED
        together = self._team and self._rest == 0 and not doubted
        if self._first:
            seconds = SHORT / 4
        else:
            seconds = SHORT if doubted and self._rest == 0 else LONG
        return seconds / self._last, together and work * self._last > WORTH

    def saw(self, work: float, seconds: float, together: bool) -> None:
        """Take note of what some work has taken."""
        if self._first:  # with all that is done but once
            self._first = False
            return
        self._last = own = seconds / work
        self._seconds += seconds
        if not together:
            self._alone.append(own)
            self._rest, self._since = max(0, self._rest - 1), 0
            return
        self._since += 1
        if not self._alone:
            return
        if own < GAIN * median(self._alone):
            self._patience = 1
        else:
            self._patience = min(2 * self._patience, RARELY)
            self._rest = self._patience
