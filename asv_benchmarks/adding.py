"""The adding problem: how long rnn_fast and PyTorch take to learn it, in as many updates.

Two of T steps are marked; the sum of their values is to be told at the end (Hochreiter and
Schmidhuber, 1997). An LSTM with 8 units, batches of 32, SGD with momentum 0.9, until the mean
squared error on fresh sequences is below 0.001. PyTorch then starts from the same weights and makes
the same updates from the same batches. One thread.

    python asv_benchmarks/adding.py --steps 100 --seed 0
"""

from __future__ import annotations

import argparse
from time import perf_counter

from peers import LIMITED  # before NumPy: the package sets the limits of threads

import numpy as np  # isort: skip
import torch  # isort: skip
from rnn_fast import LSTM, SGD, tasks  # isort: skip

BATCH, BATCHES, MOMENTUM, LEARNING_RATE = 32, 1000, 0.9, 0.3
SOLVED, LONGEST = 1e-3, 40  # mean squared error; epochs


def ours(
    model: LSTM, x: np.ndarray, y: np.ndarray, test: tuple[np.ndarray, np.ndarray]
) -> tuple[int, float, float]:
    """Return the epochs until it is solved, the seconds of training, and the error."""
    optimizer = SGD(momentum=MOMENTUM)
    fit = {"batch_size": BATCH, "optimizer": optimizer, "shuffle": False, "verbose": False}
    seconds, error, epoch = 0.0, np.inf, 0
    while error >= SOLVED and epoch < LONGEST:
        epoch += 1
        start = perf_counter()
        model.fit(x, y, epochs=1, **fit)
        seconds += perf_counter() - start
        error = model.evaluate(*test)["loss"]
    return epoch, seconds, error


def theirs(
    net: torch.nn.Module,
    epochs: int,
    x: np.ndarray,
    y: np.ndarray,
    test: tuple[np.ndarray, np.ndarray],
) -> tuple[float, float]:
    """Return the seconds of training, and the error."""
    net.rnn.bias_hh_l0.requires_grad_(False)  # one bias, as ours
    parameters = [p for p in net.parameters() if p.requires_grad]
    loss = torch.nn.MSELoss()
    batches = list(
        zip(
            torch.from_numpy(x).split(BATCH),
            torch.from_numpy(y)[:, None].split(BATCH),
            strict=True,
        )
    )
    start = perf_counter()
    for _ in range(epochs):
        optimizer = torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)
        for xb, yb in batches:
            optimizer.zero_grad(set_to_none=True)
            loss(net(xb), yb).backward()
            optimizer.step()
    seconds = perf_counter() - start
    with torch.no_grad():
        return seconds, loss(net(torch.from_numpy(test[0]))[:, 0], torch.from_numpy(test[1])).item()


def main() -> None:
    """Print both times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=100, help="T (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of data and weights (default: 0)")
    options = parser.parse_args()
    torch.set_num_threads(LIMITED)
    rng, task = np.random.default_rng(options.seed), tasks.Adding(options.steps)
    x, y = task.draw(BATCH * BATCHES, rng)
    test = task.draw(2000, rng)
    model = LSTM(hidden_size=8, seed=options.seed, learning_rate=LEARNING_RATE, **task.network)
    model.fit(x[:BATCH], y[:BATCH], epochs=1, learning_rate=0, verbose=False)  # compiles
    net = model.to_torch()
    epochs, seconds, error = ours(model, x, y, test)
    print(f"T = {options.steps}, {epochs * BATCHES} updates")
    print(f"rnn_fast: {seconds:.2f} s, mean squared error {error:.2g}", flush=True)
    their_seconds, error = theirs(net, epochs, x, y, test)
    print(f"PyTorch:  {their_seconds:.2f} s, mean squared error {error:.2g}")
    print(f"rnn_fast took 1/{their_seconds / seconds:.0f} of the time")


if __name__ == "__main__":
    main()
