"""Pieces of an epoch, and whether other threads pay."""

from __future__ import annotations

from collections import deque
from statistics import median

from ..tuning import TUNING


class Pace:
    """Size of the next piece of work, and whether other threads join, from the last pieces' times.

    Threads do not always help: another process may hold their cores, and then each waits for the
    thread that the system set aside.  So a team is compared with one thread, soon and then now and
    again, and a team that does not pay is left alone for a while.  The results are the same.

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

    def _doubts(self) -> bool:
        """Return whether it is time to compare the team with one thread."""
        if self._alone:
            return self._since >= TUNING.pieces_between_trials
        return self._seconds > TUNING.trusted_seconds

    def next(self, work: float) -> tuple[float, bool]:
        """Return how much of the work left to do now, and whether with the other threads."""
        doubted = self._doubts()
        together = self._team and self._rest == 0 and not doubted
        if self._first:
            seconds = TUNING.trial_seconds / 4
        else:
            is_trial = doubted and self._rest == 0
            seconds = TUNING.trial_seconds if is_trial else TUNING.piece_seconds
        return seconds / self._last, together and work * self._last > TUNING.worth_seconds

    def saw(self, work: float, seconds: float, together: bool) -> None:
        """Note the seconds that some work took."""
        if self._first:  # it includes all that is done once
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
        if own < TUNING.gain * median(self._alone):
            self._patience = 1
        else:
            self._patience = min(2 * self._patience, TUNING.pieces_between_trials)
            self._rest = self._patience
