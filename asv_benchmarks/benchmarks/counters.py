"""Exact counters: instructions in the machine code, and sizes of files.

Counters depend only on the processor's instruction set and the pinned versions, so the same commit
always has the same counters.  Less is better for all of them.

- Allocations are 0, because a training step allocates nothing.
- Scalar multiply-adds are multiply-adds that the compiler did not vectorize.
- More packed multiply-adds mean narrower registers, or another copy of a loop.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from rnn_fast import GRU, LSTM, SimpleRNN
from rnn_fast.engine import operations as compute
from rnn_fast.jit import Program, target_machine

ALLOCATION = re.compile(
    r"^\s+\S.*\b(?:malloc|calloc|realloc|free|posix_memalign|_Zn[wa]m|NRT_\w+)\b"
)
PACKED = re.compile(r"^\s+(?:vfn?m(?:add|sub)\d+p[sd]|fml[as]\s+v\d+\.)")
SCALAR = re.compile(r"^\s+(?:vfn?m(?:add|sub)\d+s[sd]|fn?m(?:add|sub)\s)")
SPILL = re.compile(r"^\s+(?:v?mov[au]p[sd]\s+%[xyz]mm\d+, -?\d*\(%r[sb]p\)|st[rp]\s+q.*\[sp)")
PATTERNS = {"allocations": ALLOCATION, "packed": PACKED, "scalar": SCALAR, "spills": SPILL}

X = np.random.default_rng(0).standard_normal((64, 4, 3)).astype(np.float32)
Y = (X.sum((1, 2)) > 0).astype(np.int64)


def fit(model: Any, batch_size: int) -> None:
    """Compile the programs that train a model."""
    model.fit(X, Y, epochs=1, batch_size=batch_size, verbose=False)


CASES: dict[str, Callable[[], None]] = {
    "RNN": lambda: fit(SimpleRNN(3, 32), 32),
    "GRU": lambda: fit(GRU(3, 32), 32),
    "LSTM": lambda: fit(LSTM(3, 32), 32),
    "RNN, one sample": lambda: fit(SimpleRNN(3, 32), 1),
    "LSTM, predict": lambda: LSTM(3, 32).predict(X),
}


def programs() -> set[tuple[Any, tuple]]:
    """Return the programs that this process has loaded, each with its specialization."""
    found = [value for value in vars(compute).values() if isinstance(value, Program)]
    return {(program, key) for program in found for key in program.loaded}


def forget() -> None:
    """Forget the loaded programs, so that only programs of the next case are counted."""
    for program, _ in programs():
        program._functions.clear()


def counted(case: Callable[[], None]) -> dict[str, int]:
    """Return the counters of the programs that a case loads."""
    forget()
    case()
    counts = dict.fromkeys((*PATTERNS, "code", "file"), 0)
    for program, key in programs():
        module, machine = program.llvm_module(*key), target_machine()
        lines = machine.emit_assembly(module).splitlines()
        for name, pattern in PATTERNS.items():
            counts[name] += sum(bool(pattern.match(line)) for line in lines)
        code = machine.emit_object(module)
        counts["file"] += len(code)
        for section in llvm.ObjectFileRef.from_data(code).sections():
            if (section.name() or b"").startswith((b".text", b"__text")):
                counts["code"] += section.size()
    if not counts["code"]:
        raise RuntimeError("no program was compiled")
    return counts


class Programs:
    """Machine code of a training step and of a prediction."""

    params = tuple(CASES)
    param_names = ("case",)
    timeout = 120

    def setup_cache(self) -> dict[str, dict[str, int]]:
        return {name: counted(case) for name, case in CASES.items()}

    setup_cache.timeout = 600  # type: ignore[attr-defined]  # compiles, perhaps on a busy machine

    def track_allocations(self, counts: dict, case: str) -> int:
        return counts[case]["allocations"]

    def track_packed(self, counts: dict, case: str) -> int:
        return counts[case]["packed"]

    def track_scalar(self, counts: dict, case: str) -> int:
        return counts[case]["scalar"]

    def track_spills(self, counts: dict, case: str) -> int:
        return counts[case]["spills"]

    def track_code(self, counts: dict, case: str) -> int:
        return counts[case]["code"]

    def track_file(self, counts: dict, case: str) -> int:
        return counts[case]["file"]

    track_allocations.unit = "allocations"  # type: ignore[attr-defined]
    track_packed.unit = track_scalar.unit = "multiply-adds"  # type: ignore[attr-defined]
    track_spills.unit = "spills"  # type: ignore[attr-defined]
    track_code.unit = track_file.unit = "bytes"  # type: ignore[attr-defined]


class ModelFile:
    """A saved LSTM, 8 features and 32 units."""

    unit = "bytes"
    timeout = 60

    def track_size(self) -> int:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.safetensors")
            LSTM(8, 32, seed=0).save(path)
            return os.path.getsize(path)
