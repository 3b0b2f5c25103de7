"""Times in turns: what makes a moment of the machine slow makes it slow for everyone."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

from .results import Measured, Timing
from .rows import Row

SHORTEST = 0.02  # seconds that are timed at once


@dataclass
class Contender:
    """Something to be timed: what one call does, and how long the calls took."""

    name: str
    family: str
    run: Callable[[], Any]
    updates: int  # of a call
    flop: int  # of an update
    calls: int = 1  # that are timed together
    seconds: list[float] = field(default_factory=list)  # of an update, one for each round


def once(contender: Contender) -> float:
    """Seconds of an update, over the calls of one turn.

    What the others have left behind is none of its business: their garbage is collected first, and
    where a call is short one more goes before, untimed, which brings its own data into the caches.
    """
    gc.collect()
    if contender.calls > 1:
        contender.run()
    start = perf_counter()
    for _ in range(contender.calls):
        contender.run()
    return (perf_counter() - start) / contender.calls / contender.updates


def interleave(contenders: list[Contender], rounds: int) -> float:
    """Time everyone once a round, in turn; gives the part of the core that we had."""
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()  # what is there now stays: the collections between turns look at the new alone
    gc.disable()
    wall, busy = perf_counter(), process_time()
    try:
        for _ in range(rounds):
            for contender in contenders:
                contender.seconds.append(once(contender))
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()
    return (process_time() - busy) / (perf_counter() - wall)


def fastest(contenders: list[Contender], keep: int) -> list[Contender]:
    """The best few after a short trial, each made to take at least about SHORTEST.

    Else the least time would favour whoever needs a good moment of the machine only briefly.
    """
    interleave(contenders, rounds=2 if len(contenders) > 1 else 1)
    contenders = sorted(contenders, key=lambda contender: min(contender.seconds))[:keep]
    for contender in contenders:
        seconds = min(contender.seconds) * contender.updates
        contender.calls = max(1, round(SHORTEST / seconds))
        contender.seconds.clear()
    return contenders


def measured(row: Row, contenders: list[Contender], rounds: int, notes: list[str]) -> Measured:
    """Time everyone in turns, as a result."""
    core = interleave(contenders, rounds)
    timings = [Timing(c.name, c.family, c.flop, c.seconds) for c in contenders]
    return Measured(row, timings, core, notes)
