"""Time of a step of one sequence whose steps come call by call: rnn_fast's `stream`, and peers.

All contenders follow the same sequence, `row.T` steps a call. NumPy arrays go in and come out, and
the state stays with the contender. Logits are checked from a zero state on before the timing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import ModuleType
from typing import Any

import numpy as np

from . import textbook
from .checks import check_outputs
from .contenders import Say, checked, model_of, noted
from .problems import Params, drawn
from .results import OURS, Measured, Settings
from .rows import STREAM, Row
from .timing import Contender, fastest, measured

STEPS = 4096  # of the sequence, a multiple of each row's T

Call = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Series:
    """A sequence x (steps, I), and parameters by name."""

    row: Row
    params: Params
    x: np.ndarray

    @classmethod
    def draw(cls, row: Row, steps: int = STEPS) -> Series:
        """Draw standard-normal steps, a multiple of `row.T`, and parameters."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((steps, row.I)).astype(row.dtype)
        return cls(row, drawn(row, rng), x)

    @cached_property
    def logits(self) -> np.ndarray:
        """Logits (steps, 1) from a zero state on, by `textbook` in float64."""
        exact = {name: value.astype(float) for name, value in self.params.items()}
        return textbook.outputs(self.row, exact, self.x[None].astype(float))[0]

    def follow(self, call: Call) -> Callable[[], list[np.ndarray]]:
        """Return a function that calls `call` along the sequence, and returns what came out."""
        T = self.row.T
        pieces = list(self.x if T == 1 else self.x.reshape(-1, T, self.row.I))
        return lambda: [call(piece) for piece in pieces]

    def check(self, name: str, got: list[np.ndarray]) -> None:
        """Raise WrongResultError if logits from a zero state on are wrong."""
        check_outputs(name, np.reshape(got, self.logits.shape), self.logits)


def measure(name: str, settings: Settings, peers: Mapping[str, ModuleType], say: Say) -> Measured:
    """Check all contenders, then time them in turn."""
    series = Series.draw(STREAM[name])
    found, notes = field(series, peers, settings.quick, say)
    say("timing in turn")
    return measured(series.row, found, settings.rounds, notes)


def field(
    series: Series, peers: Mapping[str, ModuleType], quick: bool, say: Say
) -> tuple[list[Contender], list[str]]:
    """Return all contenders in the order of their turns, and notes on the missing ones.

    Raises
    ------
    WrongResultError
        If rnn_fast's result is wrong.
    """
    row = series.row
    forward = row.flop // (3 * row.T)
    work = partial(Contender, updates=len(series.x), flop=forward)
    say("rnn_fast")
    run, notes = series.follow(ours(series)), list[str]()
    series.check(OURS, run())
    found = fastest([work("stream", OURS, run)], 1)
    for family, peer in peers.items():
        with noted(family, notes):
            calls = peer.streams(row, series.params, quick)
            ways = {name: series.follow(call) for name, call in calls.items()}
            found += checked(ways, series.check, partial(work, family=family), quick, say, notes)
    return found, notes


def ours(series: Series) -> Call:
    """Return a call of a new rnn_fast stream."""
    model = model_of(series.row)
    for name, value in series.params.items():
        setattr(model, name, value)
    stream = model.stream(output="decision_function")
    return stream.step if series.row.T == 1 else stream.run
