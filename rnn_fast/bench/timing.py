"""Interleaved timing: contenders take turns, so a slow moment of the machine slows them all."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

from .results import Measured, Timing
from .rows import Row

SHORTEST = 0.02  # seconds of a turn, at least about


@dataclass
class Contender:
    """A function to time, the work of one call, and the times measured so far."""

    name: str
    family: str
    run: Callable[[], Any]
    updates: int  # per call
    flop: int  # per update
    calls: int = 1  # per turn
    seconds: list[float] = field(default_factory=list)  # per update, one for each round


def once(contender: Contender) -> float:
    """Return the seconds of an update, the mean over the calls of one turn.

    Garbage of the other contenders is collected before the timing starts. If calls are short, one
    untimed call first loads the contender's data into the caches.
    """
    gc.collect()
    if contender.calls > 1:
        contender.run()
    start = perf_counter()
    for _ in range(contender.calls):
        contender.run()
    return (perf_counter() - start) / contender.calls / contender.updates


def interleave(contenders: list[Contender], rounds: int) -> float:
    """Time all contenders in turn, once a round; return the share of a core that we got."""
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()  # the collections between turns look only at objects made later
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
    """Return the fastest `keep` contenders of a short trial.

    Calls are repeated so that a turn takes about SHORTEST seconds. Otherwise short contenders would
    profit most from a brief fast moment of the machine.
    """
    interleave(contenders, rounds=2 if len(contenders) > 1 else 1)
    contenders = sorted(contenders, key=lambda contender: min(contender.seconds))[:keep]
    for contender in contenders:
        seconds = min(contender.seconds) * contender.updates
        contender.calls = max(1, round(SHORTEST / seconds))
        contender.seconds.clear()
    return contenders


def measured(row: Row, contenders: list[Contender], rounds: int, notes: list[str]) -> Measured:
    """Time all contenders in turn, and return the result of the row."""
    core = interleave(contenders, rounds)
    timings = [Timing(c.name, c.family, c.flop, c.seconds) for c in contenders]
    return Measured(row, timings, core, notes)
