"""Time of a training step of all contenders, on the field grid and the ladder of sizes."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from .contenders import Say, field
from .problems import Problem
from .results import Measured, Settings
from .rows import ROWS
from .timing import measured


def measure(name: str, settings: Settings, peers: Mapping[str, ModuleType], say: Say) -> Measured:
    """Check all contenders, then time them in turn."""
    problem = Problem.draw(ROWS[name], settings.quick)
    found, refused = field(problem, peers, settings.quick, say)
    say("timing in turn")
    return measured(problem.row, found, settings.rounds, refused)
