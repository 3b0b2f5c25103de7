"""Cost of sequences of different lengths: rnn_fast, and PyTorch's packed sequences.

Lengths are uniform from 1 to T, so a batch is half full. The same batch is also timed padded, with
all lengths equal to T. PyTorch sorts its packed batch before the timing starts. rnn_fast sorts
inside the timed `fit` of ten steps.
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
    """Time a training step of rnn_fast and PyTorch on the padded and the ragged batch."""
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
    """Return rnn_fast's `fit` on the padded and on the ragged batch."""
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
    """Return PyTorch's training step on the padded and on the packed batch."""
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
