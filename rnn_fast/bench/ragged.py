"""What sequences of different lengths cost: rnn_fast, and PyTorch's packed sequences.

A batch of lengths drawn uniformly from 1 to T is half full. It is timed beside the same batch
padded, all of length T. PyTorch sorts its packed batch outside of the time; ours is a `fit` of
ten steps, in which it is sorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import ModuleType

import numpy as np

from .contenders import Say, model_of
from .problems import LEARNING_RATE
from .results import OURS, PACKED, RAGGED_OURS, Measured, Settings
from .rows import RAGGED, Row
from .timing import Contender, fastest, measured

STEPS = 10


def measure(name: str, settings: Settings, peers: Mapping[str, ModuleType], say: Say) -> Measured:
    """Time a step of both on both batches."""
    row = RAGGED[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((row.B, row.T, row.I)).astype(row.dtype)
    y = (x.sum(axis=(1, 2)) > 0).astype(row.dtype)[:, None]
    lengths = rng.integers(1, row.T + 1, row.B)
    say(name)
    found = ours(row, x, y, lengths)
    if "PyTorch" in peers:
        found += pytorch(peers["PyTorch"], row, x, y, lengths)
    for contender in found:
        contender.run()
    return measured(row, fastest(found, len(found)), settings.rounds, [])


def ours(row: Row, x: np.ndarray, y: np.ndarray, lengths: np.ndarray) -> list[Contender]:
    """Our `fit` of both."""
    fit = partial(
        model_of(row).fit,
        x,
        y,
        batch_size=row.B,
        epochs=STEPS,
        learning_rate=LEARNING_RATE,
        n_threads=1,
        verbose=False,
    )
    return [
        Contender("fit", OURS, fit, STEPS, row.flop),
        Contender("fit", RAGGED_OURS, partial(fit, lengths=lengths), STEPS, row.flop),
    ]


def pytorch(
    torch_rnn: ModuleType, row: Row, x: np.ndarray, y: np.ndarray, lengths: np.ndarray
) -> list[Contender]:
    """Its training step with both, from a model of its own."""
    model = torch_rnn.Classifier(row, dict(model_of(row).parameters))
    step, labels = torch_rnn.training_step(model), torch_rnn.targets(row, y)
    padded = torch_rnn.time_first(x)
    packed = torch_rnn.packed(x, lengths)

    def run(given: object) -> None:
        with torch_rnn.flushed():
            step(given, labels)

    return [
        Contender("PyTorch", "PyTorch", partial(run, padded), 1, row.flop),
        Contender("PyTorch packed", PACKED, partial(run, packed), 1, row.flop),
    ]
