"""Results of a measurement, as the worker sends them and as a JSON file stores them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from .rows import Row

# Families, beside the peers' names.
OURS, GEMM = "rnn_fast", "gemm"
SCRIPT = "forward, backward"  # rnn_fast with one call for each sample
RAGGED_OURS, PACKED = "rnn_fast ragged", "PyTorch packed"
TOGETHER = "rnn_fast, all cores"


@dataclass(frozen=True)
class Settings:
    """Settings of a measurement."""

    subject: str
    rows: list[str]
    rounds: int
    quick: bool = False
    peers: bool = True


@dataclass(frozen=True)
class Timing:
    """Times of one contender."""

    name: str
    family: str
    flop: int  # of an update
    seconds: list[float]  # of an update, one for each round

    @property
    def median(self) -> float:
        """Median seconds of an update."""
        return median(self.seconds)


def ratio(slower: Timing, faster: Timing) -> float:
    """Return the time of `slower` / the time of `faster`: the median over the rounds."""
    return median(a / b for a, b in zip(slower.seconds, faster.seconds, strict=True))


@dataclass
class Measured:
    """A row, its times, the share of a core that the process got, and notes."""

    row: Row
    timings: list[Timing]
    core: float = 1.0
    notes: list[str] = field(default_factory=list)

    def best(self, families: str | Iterable[str]) -> Timing | None:
        """Return the fastest timing of these families, or None if there is none."""
        families = [families] if isinstance(families, str) else list(families)
        found = [timing for timing in self.timings if timing.family in families]
        return min(found, key=lambda timing: timing.median, default=None)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Measured:
        """Return a row from the fields that `asdict` made."""
        timings = [Timing(**timing) for timing in fields["timings"]]
        return cls(**fields | {"row": Row(**fields["row"]), "timings": timings})


@dataclass
class Results:
    """Results of all rows, filled in row by row."""

    settings: Settings
    machine: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Measured] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)  # in words

    def write(self, path: Path) -> None:
        """Write a JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read a file that `write` wrote.

        Raises
        ------
        ValueError
            If the file has other contents.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            rows = {name: Measured.of(measured) for name, measured in fields["rows"].items()}
            settings = Settings(**fields["settings"])
            return cls(settings, fields["machine"], rows, fields["left_out"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path} is not what `rnn-fast bench --json` writes") from error
