"""Speed-up by threads: rnn_fast's `fit` on one core and on all cores, in turn.

No peer is timed, so the process runs without thread limits and may use all cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import ModuleType

import numpy as np

from ..engine.threads import available
from .contenders import Ours, Say
from .problems import Problem
from .results import OURS, TOGETHER, Measured, Settings
from .rows import FIELD
from .timing import Contender, measured

# Seconds of an epoch, closer to a user's epoch than a few updates; seconds of a call.
EPOCH, LONG = 0.25, 3.0


def measure(name: str, settings: Settings, peers: Mapping[str, ModuleType], say: Say) -> Measured:
    """Time an update on one core and on all cores."""
    problem = Problem.draw(FIELD[name], settings.quick)
    own, row = Ours(problem), problem.row
    say(name)
    own.fit(1)
    seconds = min(own.fit(2).seconds)
    again = max(1, round(EPOCH / seconds))
    own.x, own.y = np.concatenate([own.x] * again), np.concatenate([own.y] * again)
    updates, epochs = again * problem.updates, max(1, round(LONG / (again * seconds)))
    found = []
    for n, family in ((1, OURS), (available(), TOGETHER)):
        run = partial(own.fit, epochs, n_threads=n)
        run()
        found.append(Contender(f"{n} threads", family, run, epochs * updates, row.flop))
    return measured(row, found, settings.rounds, [])
