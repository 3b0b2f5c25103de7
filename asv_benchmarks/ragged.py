"""What sequences of different lengths cost: rnn_fast, and PyTorch's packed sequences.

A batch of lengths drawn uniformly from 1 to T is half full. Given are the times of a training step
on it and on the same batch padded, all of length T, and their ratio; PyTorch sorts its packed batch
outside of the time, ours is a `fit` of ten steps, in which it is sorted. One thread, interleaved,
medians of the rounds.

    python asv_benchmarks/ragged.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

from peers import torch_rnn  # before NumPy: the package sets the limits of threads
from peers.problems import LEARNING_RATE, Row
from peers.rnn_fast_rnn import model_of

import numpy as np  # isort: skip
import torch  # isort: skip
from torch.nn.utils.rnn import pack_padded_sequence  # isort: skip

ROWS = {
    "RNN": Row(256, 100, 8, 64),
    "GRU": Row(256, 100, 8, 64, cell="gru"),
    "LSTM": Row(256, 100, 8, 64, cell="lstm"),
    "LSTM, B 128": Row(128, 100, 8, 64, cell="lstm"),
    "LSTM, B 64": Row(64, 100, 8, 64, cell="lstm"),
    "LSTM, B 32": Row(32, 100, 8, 64, cell="lstm"),
    "LSTM, hydrology": Row(256, 365, 5, 10, cell="lstm"),
}
STEPS = 10


def steps(row: Row) -> dict[str, Callable[[], object]]:
    """Return a training step of each contender, by name."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((row.B, row.T, row.I)).astype(row.dtype)
    y = (x.sum(axis=(1, 2)) > 0).astype(row.dtype)[:, None]
    lengths = rng.integers(1, row.T + 1, row.B)
    model = model_of(row)
    fit = {"batch_size": row.B, "epochs": STEPS, "learning_rate": LEARNING_RATE, "verbose": False}

    theirs = torch_rnn.Classifier(row, dict(model.parameters))
    optimizer = torch.optim.SGD(theirs.named.values(), lr=LEARNING_RATE, fused=True)
    xs, targets = torch_rnn.time_first(x), torch.from_numpy(y)
    packed = pack_padded_sequence(xs, torch.from_numpy(lengths), enforce_sorted=False)

    def step(given: object) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.BCEWithLogitsLoss()(theirs(given), targets).backward()
        optimizer.step()

    return {
        "rnn_fast padded": lambda: model.fit(x, y, **fit),
        "rnn_fast ragged": lambda: model.fit(x, y, lengths=lengths, **fit),
        "PyTorch padded": lambda: step(xs),
        "PyTorch packed": lambda: step(packed),
    }


def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="how many (default: 15)")
    rounds = parser.parse_args().rounds
    print(f"{'ms a step':18}{'ours padded':>12}{'ragged':>9}{'ratio':>7}", end="")
    print(f"{'PyTorch padded':>16}{'packed':>9}{'ratio':>7}")
    for name, row in ROWS.items():
        contenders = steps(row)
        seconds: dict[str, list[float]] = {key: [] for key in contenders}
        for run in contenders.values():
            run()
        for _ in range(rounds):
            for key, run in contenders.items():
                start = perf_counter()
                run()
                own = STEPS if key.startswith("rnn_fast") else 1
                seconds[key].append((perf_counter() - start) / own)
        ours, ragged, padded, packed = (1e3 * median(times) for times in seconds.values())
        print(f"{name:18}{ours:12.2f}{ragged:9.2f}{ragged / ours:7.2f}", end="")
        print(f"{padded:16.2f}{packed:9.2f}{packed / padded:7.2f}", flush=True)


if __name__ == "__main__":
    main()
