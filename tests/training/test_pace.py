"""Pace: a team works on what it makes faster, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast.training.pace import Pace


def paced(speed_up, pieces):
    """Which of some pieces the team works on, and the share of the time alone that they take."""
    pace, together, seconds = Pace(1.0, True), [], 0.0
    for _ in range(pieces):
        work, joined = pace.next(1e6)
        own = work / (speed_up if joined else 1.0)
        pace.saw(work, own, joined)
        together.append(joined)
        seconds += own / work
    return together, seconds / pieces


def test_a_team_that_helps_stays():
    together, share = paced(1.9, 500)
    assert all(together[:3]) and np.mean(together) > 0.97 and share < 0.55


@pytest.mark.parametrize("speed_up", [0.5, 1.0])
def test_a_team_that_does_not_help_is_left_alone_and_asked_again(speed_up):
    together, share = paced(speed_up, 1000)
    assert 3 < sum(together) < 30 and share < 1.03


def test_nobody_is_called_for_little_work():
    pace = Pace(1e-9, True)
    for _ in range(10):
        _, together = pace.next(100.0)
        assert not together
        pace.saw(100.0, 1e-7, together)


def test_without_a_team_there_is_none():
    pace = Pace(1e-6, False)
    assert not any(pace.next(1e9)[1] for _ in range(5))
