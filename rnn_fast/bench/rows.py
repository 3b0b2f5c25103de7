"""Workloads for rnn_fast and its peers: sizes from the field, and a ladder of sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import ceil

from .cells import CELLS


@dataclass(frozen=True)
class Row:
    """One workload: batch size, steps, features, hidden units, and the network."""

    B: int
    T: int
    I: int
    H: int
    dtype: str = "float32"
    cell: str = "rnn"
    layers: int = 1
    sequences: bool = False  # an output after every step

    @property
    def gates(self) -> int:
        """Number of gates of the cell: 1, 3 or 4."""
        return CELLS[self.cell].gates

    @property
    def flop(self) -> int:
        """Floating-point operations of an update: each product once forward, twice backward."""
        inputs = self.layers * self.H + self.I + (self.layers - 1) * self.H
        return 6 * self.B * self.T * self.gates * self.H * inputs

    def updates(self, quick: bool = False) -> int:
        """Return the updates of an epoch, enough to make the cost of starting it negligible."""
        most, flop = (8, 2.5e8) if quick else (128, 1e9)
        return min(max(most, 1000 // self.B), max(2 if quick else 4, ceil(flop / self.flop)))

    def __str__(self) -> str:
        layers = f" x{self.layers}" if self.layers > 1 else ""
        sizes = f"{self.cell.upper()}{layers} B{self.B} T{self.T} I{self.I} H{self.H}"
        dtype = "" if self.dtype == "float32" else f" {self.dtype}"
        return sizes + (" every step" if self.sequences else "") + dtype


#: Sizes that users train.
FIELD = {
    "tutorial": Row(1, 10, 1, 32),
    "cognitive": Row(100, 150, 3, 2, cell="gru"),
    "hydrology": Row(256, 365, 5, 10, cell="lstm"),
    "audio": Row(50, 1000, 1, 16, cell="lstm", sequences=True),
    "neuro": Row(50, 200, 2, 50),
    "neuro-every": Row(50, 200, 2, 50, sequences=True),
    "control": Row(32, 64, 32, 64, cell="gru"),
    "finance": Row(800, 20, 20, 64, cell="lstm", layers=2),
    "wide-rnn": Row(256, 100, 8, 128),
    "wide-lstm": Row(128, 100, 32, 256, cell="lstm"),
}
LADDER = {
    "h5b256": Row(256, 50, 8, 5),
    "h10b256": Row(256, 50, 8, 10),
    "h32b32": Row(32, 50, 8, 32),
    "h32b256": Row(256, 50, 8, 32),
    "h64b7": Row(7, 50, 8, 64),
    "h64b32": Row(32, 50, 8, 64),
    "h64b256": Row(256, 50, 8, 64),
    "h256b128": Row(128, 100, 32, 256),
}
LADDER |= {
    f"{cell}-{name}": replace(LADDER[name], cell=cell)
    for cell in ("gru", "lstm")
    for name in ("h32b32", "h32b256", "h64b32", "h64b256")
}
LADDER |= {
    f"{name}-f64": replace((FIELD | LADDER)[name], dtype="float64")
    for name in ("h32b32", "h32b256", "h64b32", "h64b256", "wide-rnn", "h256b128")
}
#: Few sequences at a time.
ONLINE = {
    f"{cell}-h{H}t{T}b{B}": Row(B, T, 1 if H <= 32 else 8, H, cell=cell)
    for cell in CELLS
    for H, T, batches in (
        (8, 10, (1, 8)),
        (16, 100, (1, 8)),
        (32, 10, (1, 8)),
        (64, 10, (1, 8)),
        (64, 50, (1, 4, 8)),
        (128, 50, (1, 2, 4, 8)),
        (256, 50, (1, 2, 4, 8)),
    )
    for B in batches
}
#: One sequence whose steps come one by one, or T at a time.
STREAM = {
    f"{cell}{H}-{name}": Row(1, T, I, H, cell=cell, sequences=True)
    for cell, H, I in (("lstm", 16, 1), ("lstm", 64, 1), ("gru", 64, 32), ("lstm", 128, 8))
    for name, T in (("step", 1), ("64", 64), ("4096", 4096))
}
#: Half-full batches.
RAGGED = {
    "rnn-b256": Row(256, 100, 8, 64),
    "gru-b256": Row(256, 100, 8, 64, cell="gru"),
    "lstm-b256": Row(256, 100, 8, 64, cell="lstm"),
    "lstm-b128": Row(128, 100, 8, 64, cell="lstm"),
    "lstm-b64": Row(64, 100, 8, 64, cell="lstm"),
    "lstm-b32": Row(32, 100, 8, 64, cell="lstm"),
    "hydrology": FIELD["hydrology"],
}
#: Sizes of the adding problem.
ADDING = {f"t{T}": Row(32, T, 2, 8, cell="lstm") for T in (100, 200)}
#: Rows of each subject.
SUBJECTS = {
    "grid": FIELD,
    "ladder": LADDER,
    "online": ONLINE,
    "stream": STREAM,
    "ragged": RAGGED,
    "adding": ADDING,
    "threads": FIELD,
}
TRAINED = ("grid", "ladder", "online")  #: subjects that time a training step
PEERED = (*TRAINED, "stream")  #: subjects whose best peer counts
#: Rows that `--quick` measures: few, because a first run has to compile as well.
QUICK = {
    "grid": "tutorial,hydrology,control,wide-rnn",
    "ladder": "h5b256,h64b32,lstm-h64b32,h64b32-f64",
    "online": "rnn-h32t10b1,gru-h32t10b1,lstm-h32t10b1,lstm-h64t10b8",
    "stream": "lstm16-*,gru64-step",
    "ragged": "lstm-b256,lstm-b32",
    "adding": "t100",
    "threads": "hydrology,control,wide-rnn",
}


def select(patterns: str, rows: Mapping[str, object]) -> list[str]:
    """Return the names of the rows that match any of the patterns, such as ``"tutorial,h64*"``.

    Raises
    ------
    ValueError
        If a pattern matches no row.
    """
    wanted: Sequence[str] = [pattern.strip() for pattern in patterns.split(",")]
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in rows):
            raise ValueError(f"no row matches {pattern!r}; there are {', '.join(rows)}")
    return [name for name in rows if any(fnmatchcase(name, p) for p in wanted)]
