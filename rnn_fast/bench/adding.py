"""Time that rnn_fast and PyTorch take for the adding problem, with the same number of updates.

Two of T steps are marked, and the target is the sum of their values (Hochreiter and Schmidhuber,
1997). The network is an LSTM with 8 units, trained on batches of 32 by SGD with momentum 0.9.
rnn_fast trains until the mean squared error on new sequences is below 0.001. PyTorch then starts
from the same weights and trains on the same batches. Each trains once; there are no rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

from ..models.recurrent import LSTM
from ..optimizers import SGD
from ..tasks import Adding
from .contenders import Say
from .results import OURS, Measured, Settings, Timing
from .rows import ADDING

BATCHES, MOMENTUM, LEARNING_RATE = 1000, 0.9, 0.3
SOLVED, LONGEST = 1e-3, 40  # mean squared error; epochs

Pair = tuple[np.ndarray, np.ndarray]


def measure(name: str, settings: Settings, peers: Mapping[str, ModuleType], say: Say) -> Measured:
    """Train rnn_fast until it solves the problem, then PyTorch for as many updates."""
    row = ADDING[name]
    rng, task = np.random.default_rng(0), Adding(row.T)
    train, test = task.draw(row.B * BATCHES, rng), task.draw(2000, rng)
    model = LSTM(hidden_size=row.H, seed=0, learning_rate=LEARNING_RATE, **task.network)
    model.fit(*(a[: row.B] for a in train), epochs=1, learning_rate=0, verbose=False)  # to compile
    net = model.to_torch() if "PyTorch" in peers else None
    say("rnn_fast")
    epochs, seconds, error = ours(model, row.B, train, test)
    updates = epochs * BATCHES
    timings = [Timing("fit", OURS, row.flop, [seconds / updates])]
    notes = [f"{updates} updates, {seconds:.2f} s, mean squared error {error:.2g}"]
    if net is not None:
        say("PyTorch")
        seconds, error = pytorch(net, epochs, row.B, train, test)
        timings.append(Timing("PyTorch", "PyTorch", row.flop, [seconds / updates]))
        notes.append(f"PyTorch: {seconds:.2f} s, mean squared error {error:.2g}")
    return Measured(row, timings, notes=notes)


def ours(model: LSTM, batch: int, train: Pair, test: Pair) -> tuple[int, float, float]:
    """Return the epochs until the problem is solved, the seconds of training, and the error."""
    optimizer = SGD(momentum=MOMENTUM)
    seconds, error, epoch = 0.0, np.inf, 0
    while error >= SOLVED and epoch < LONGEST:
        epoch += 1
        start = perf_counter()
        model.fit(
            *train, epochs=1, batch_size=batch, optimizer=optimizer, shuffle=False, verbose=False
        )
        seconds += perf_counter() - start
        error = model.evaluate(*test)["loss"]
    return epoch, seconds, float(error)


def pytorch(net: Any, epochs: int, batch: int, train: Pair, test: Pair) -> tuple[float, float]:
    """Return the seconds of training, and the error."""
    import torch

    from .peers.torch_rnn import flushed

    net.rnn.bias_hh_l0.requires_grad_(False)  # rnn_fast has one bias
    parameters = [p for p in net.parameters() if p.requires_grad]
    loss = torch.nn.MSELoss()
    x, y = (torch.from_numpy(a) for a in train)
    batches = list(zip(x.split(batch), y[:, None].split(batch), strict=True))
    with flushed():
        start = perf_counter()
        for _ in range(epochs):
            options = {"lr": LEARNING_RATE, "momentum": MOMENTUM}
            optimizer = torch.optim.SGD(parameters, fused=True, **options)
            for xb, yb in batches:
                optimizer.zero_grad(set_to_none=True)
                loss(net(xb), yb).backward()
                optimizer.step()
        seconds = perf_counter() - start
    with torch.no_grad():
        x, y = (torch.from_numpy(a) for a in test)
        return seconds, loss(net(x)[:, 0], y).item()
