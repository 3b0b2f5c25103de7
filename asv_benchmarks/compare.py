"""Time rnn_fast beside PyTorch, JAX, NumPy and this machine's own matrix product.

Everything runs in one process on one core, and in turns: round after round each contender does
an epoch or more, so that a slow moment of the machine meets all of them. Before it is timed, each
must compute the same loss, the same gradients, and after an epoch the same parameters.

    python asv_benchmarks/compare.py --rows tutorial,'h64*' --json figures.json

The columns, each by the least and by the median time of the rounds: milliseconds per update;
GFLOP/s, counting 6 B T G H (I + H) flop an update; that as a part of this run's matrix product; and
how many times as fast as the best peer the contender is.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from time import perf_counter, process_time
from types import ModuleType
from typing import Any

from peers import Runner, checks  # before NumPy: it sets the limits of threads
from peers.numpy_rnn import script
from peers.problems import LEARNING_RATE, ROWS, Problem

import numpy as np  # isort: skip

PEERS = {"PyTorch": "torch_rnn", "JAX": "jax_rnn", "NumPy": "numpy_rnn"}
GEMM = 1024
SHORTEST = 0.02  # seconds that are timed at once
STATISTICS = {"least": min, "median": median}
COLUMNS = {"ms/update": (10, 4), "GFLOP/s": (8, 1), "of gemm": (8, 2), "of best peer": (8, 2)}

Clock = Callable[[], float]


@dataclass
class Contender:
    """Something to be timed: what one call does, and how long the calls took."""

    name: str
    family: str
    run: Callable[[], Any]
    updates: int
    flop: int  # of one update
    calls: int = 1  # that are timed together
    seconds: list[float] = field(default_factory=list)  # of a call

    def per_update(self, statistic: str = "least") -> float:
        """Return the seconds that an update takes."""
        return STATISTICS[statistic](self.seconds) / self.updates

    def rate(self, statistic: str) -> float:
        """Return GFLOP/s."""
        return self.flop / self.per_update(statistic) / 1e9


def interleave(contenders: list[Contender], rounds: int, clock: Clock) -> float:
    """Time everyone once a round, in turn; return the part of the core that we had."""
    wall, busy = perf_counter(), process_time()
    for _ in range(rounds):
        for contender in contenders:
            start = clock()
            for _ in range(contender.calls):
                contender.run()
            contender.seconds.append((clock() - start) / contender.calls)
    return (process_time() - busy) / (perf_counter() - wall)


def fastest(contenders: list[Contender], keep: int, clock: Clock) -> list[Contender]:
    """Return the best few after a short trial, each made to take at least about SHORTEST.

    Else the least time would favour whoever needs a good moment of the machine only briefly.
    """
    interleave(contenders, rounds=2, clock=clock)
    contenders = sorted(contenders, key=Contender.per_update)[:keep]
    for contender in contenders:
        contender.calls = max(1, round(SHORTEST / min(contender.seconds)))
        contender.seconds.clear()
    return contenders


# --- who takes part -------------------------------------------------------------------------------


class Ours:
    """rnn_fast on a problem.

    Parameters
    ----------
    problem : Problem
        Its parameters are the initial ones.
    """

    def __init__(self, problem: Problem) -> None:
        from peers.rnn_fast_rnn import model_of

        row = problem.row
        self.problem = problem
        self.model = model_of(row)
        for name, value in problem.params.items():
            setattr(self.model, name, value)
        self.x = problem.x.reshape(-1, row.T, row.I)
        self.y = problem.y.reshape(-1, *problem.y.shape[2:])

    def fit(self, epochs: int) -> Any:
        """Train, and return the history."""
        return self.model.fit(
            self.x,
            self.y,
            epochs=epochs,
            batch_size=self.problem.row.B,
            learning_rate=LEARNING_RATE,
            shuffle=False,
            verbose=False,
        )

    def overhead(self, epochs: int) -> float:
        """Return the part of a call of `fit` that is not in its epochs."""
        start = perf_counter()
        history = self.fit(epochs)
        return 1 - sum(history.seconds) / (perf_counter() - start)


def our_contenders(problem: Problem, clock: Clock) -> list[Contender]:
    """Return `fit`, and for single samples also the tutorial's script; checked and warm."""
    row, ours = problem.row, Ours(problem)
    checks.check_gradients("rnn_fast", ours.model.loss_and_gradients, problem)
    ours.fit(epochs=1)
    expected = checks.parameters_after_an_epoch(problem)
    checks.check_parameters("rnn_fast fit", ours.model.parameters, expected, problem)
    epochs = 10 if row.B == 1 else 3
    overhead = median(ours.overhead(epochs) for _ in range(5))
    print(f"  a call of fit has {epochs} epochs; {overhead:.1%} of it is outside of them")
    fit = partial(ours.fit, epochs)
    found = [Contender("rnn_fast fit", "rnn_fast", fit, epochs * row.updates, row.flop)]
    if row.B == 1:
        name = "rnn_fast forward, backward"
        run = script(Ours(problem).model, problem.x[:, 0], problem.y[:, 0])
        checks.check_parameters(name, run(), expected, problem)
        found.append(Contender(name, "rnn_fast script", run, row.updates, row.flop))
    return fastest(found, len(found), clock)


def peer_contenders(
    family: str, peer: ModuleType, problem: Problem, clock: Clock, keep: int = 2
) -> list[Contender]:
    """Return a peer's fastest ways of doing the problem, after a short trial; checked and warm."""
    row, ways = problem.row, runners(peer, problem)
    if not ways:
        return []
    if hasattr(peer, "loss_and_gradients"):
        gradients = partial(peer.loss_and_gradients, row, problem.params)
        checks.check_gradients(family, gradients, problem)
    expected = checks.parameters_after_an_epoch(problem)
    for name, run in ways.items():
        checks.check_parameters(name, run(), expected, problem)
    found = [Contender(name, family, run, row.updates, row.flop) for name, run in ways.items()]
    return fastest(found, keep, clock)


def runners(peer: ModuleType, problem: Problem) -> Mapping[str, Runner]:
    """Return all ways in which a peer does an epoch of the problem, by name."""
    p = problem
    if p.row.B == 1:
        return peer.tutorial_runners(p.row, p.params, p.x[:, 0], p.y[:, 0], LEARNING_RATE)
    if hasattr(peer, "step_runners"):
        return peer.step_runners(p.row, p.params, p.x, p.y, LEARNING_RATE)
    return {}


def gemm(dtype: str) -> Contender:
    """Return the product of two square matrices, warm."""
    a, b = np.random.default_rng(0).standard_normal((2, GEMM, GEMM)).astype(dtype)
    run = partial(np.matmul, a, b, out=np.empty_like(a))
    run()
    name = {"float32": "sgemm", "float64": "dgemm"}[dtype]
    # several at once: the first finds in the caches what the others have left there
    return Contender(f"{name} {GEMM}^3", "gemm", run, updates=1, flop=2 * GEMM**3, calls=5)


# --- the report -----------------------------------------------------------------------------------


def report(found: list[Contender]) -> None:
    """Print a row's table, and how many times as fast as each peer we are."""
    product = next(c for c in found if c.family == "gemm")
    peers = [c for c in found if c.family in PEERS]
    print(f"{'':30}" + "".join(f"{name:>{2 * width}}" for name, (width, _) in COLUMNS.items()))
    print(f"{'':30}" + "".join(f"{s:>{w}}" for w, _ in COLUMNS.values() for s in STATISTICS))
    for c in found:
        line = f"{c.name:30}"
        values = {
            "ms/update": [1e3 * c.per_update(s) for s in STATISTICS],
            "GFLOP/s": [c.rate(s) for s in STATISTICS],
            "of gemm": [c.rate(s) / product.rate(s) for s in STATISTICS],
            "of best peer": lead(c, peers) if peers and c is not product else [],
        }
        for column, (width, digits) in COLUMNS.items():
            line += "".join(f"{value:{width}.{digits}f}" for value in values[column])
        print(line)
    for c in found:
        if c.family.startswith("rnn_fast"):
            for family in dict.fromkeys(p.family for p in peers):
                least, middle = lead(c, [p for p in peers if p.family == family])
                print(f"  {c.name}: {least:.1f} times as fast as {family} (medians: {middle:.1f})")


def lead(c: Contender, peers: list[Contender]) -> list[float]:
    """Return how many times as fast as the best of the peers a contender is."""
    return [min(p.per_update(s) for p in peers) / c.per_update(s) for s in STATISTICS]


def versions() -> dict[str, str]:
    """Return what the figures depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("rnn_fast", "numpy", "numba", "torch", "jax", "jaxlib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


# --- the command line -----------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    """Return the command line's arguments, with the names of the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="*", help=f"patterns with commas, of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=7, help="how many (default: 7)")
    parser.add_argument("--core", type=int, help="pin to this core (default: the last allowed)")
    parser.add_argument("--only-peers", action="store_true", help="leave rnn_fast out")
    parser.add_argument("--without-peers", action="store_true", help="leave the others out")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count the processor's time instead of the wall's: for a machine that is not idle",
    )
    parser.add_argument("--json", metavar="FILE", help="write every single time there")
    options = parser.parse_args()
    patterns = options.rows.split(",")
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in ROWS):
            parser.error(f"no row is named {pattern!r}; there are {', '.join(ROWS)}")
    options.rows = [name for name in ROWS if any(fnmatch(name, p) for p in patterns)]
    return options


def import_peers() -> dict[str, ModuleType]:
    """Return the peers that are installed."""
    found = {}
    for family, module in PEERS.items():
        try:
            found[family] = importlib.import_module(f"peers.{module}")
        except ModuleNotFoundError as error:
            print(f"without {family}: {error}")
    return found


def main() -> int:
    """Run the rows asked for; return the exit code."""
    options = arguments()
    if hasattr(os, "sched_setaffinity"):  # before JAX starts, which counts the cores it may use
        core = max(os.sched_getaffinity(0)) if options.core is None else options.core
        os.sched_setaffinity(0, {core})
    clock = process_time if options.cpu_time else perf_counter
    peers = {} if options.without_peers else import_peers()
    figures: dict[str, Any] = {"versions": versions(), "rows": {}}
    print(*(f"{name} {number}" for name, number in figures["versions"].items()), sep=", ")
    for name in options.rows:
        row = ROWS[name]
        problem = Problem.draw(row)
        print(f"\n{name}: {row}")
        print(f"  {row.updates} updates an epoch, {options.rounds} rounds", flush=True)
        try:
            found = [] if options.only_peers else our_contenders(problem, clock)
            for family, peer in peers.items():
                found += peer_contenders(family, peer, problem, clock)
        except checks.WrongResultError as error:
            print(error, file=sys.stderr)
            return 1
        found.append(gemm(row.dtype))
        had = interleave(found, options.rounds, clock)
        report(found)
        print(f"  this process had {had:.0%} of its core", flush=True)
        times = [{k: v for k, v in vars(c).items() if k != "run"} for c in found]
        figures["rows"][name] = {**asdict(row), "core": had, "contenders": times}
        if options.json:  # after each row, so that a run that is stopped keeps what it has
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(figures, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
