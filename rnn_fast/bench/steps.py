"""Time of a training step of all contenders, on the grid, the ladder and the online rows."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from .contenders import Say, field
from .problems import Problem
from .results import Measured, Settings
from .rows import SUBJECTS
from .timing import measured


def measure(name: str, settings: Settings, peers: Mapping[str, ModuleType], say: Say) -> Measured:
    """Check all contenders, then time them in turn."""
    problem = Problem.draw(SUBJECTS[settings.subject][name], settings.quick)
    found, refused = field(problem, peers, settings.quick, say)
    say("timing in turn")
    return measured(problem.row, found, settings.rounds, refused)
