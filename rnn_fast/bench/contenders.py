"""Contenders of a row: rnn_fast, the peers, and NumPy's matrix product on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from ..models.loading import MODELS
from .checks import Truth, WrongResultError
from .peers.numpy_rnn import script
from .problems import LEARNING_RATE, Problem, Runner
from .results import GEMM, OURS, SCRIPT
from .rows import Row
from .timing import Contender, fastest

SIDE = 1024  # rows and columns of both matrices in `gemm`

Say = Callable[[str], None]


def model_of(row: Row) -> Any:
    """Return a new model of the row's network."""
    return MODELS[row.cell](
        row.I,
        row.H,
        num_layers=row.layers,
        return_sequences=row.sequences,
        dtype=row.dtype,
        seed=0,
    )


class Ours:
    """An rnn_fast model and the data of a problem.

    Parameters
    ----------
    problem : Problem
        Training data, and the initial parameters of the model.
    """

    def __init__(self, problem: Problem) -> None:
        row = problem.row
        self.problem = problem
        self.model = model_of(row)
        for name, value in problem.params.items():
            setattr(self.model, name, value)
        self.x = problem.x.reshape(-1, row.T, row.I)
        self.y = problem.y.reshape(-1, *problem.y.shape[2:])

    def fit(self, epochs: int, n_threads: int = 1) -> Any:
        """Train the model, and return the history."""
        return self.model.fit(
            self.x,
            self.y,
            epochs=epochs,
            batch_size=self.problem.row.B,
            learning_rate=LEARNING_RATE,
            shuffle=False,
            n_threads=n_threads,
            verbose=False,
        )


def ours(truth: Truth) -> list[Contender]:
    """Return rnn_fast's contenders, checked and warmed up.

    `fit` is always among them. Rows with a batch size of 1 add the tutorial's script.
    """
    problem = truth.problem
    row, own = problem.row, Ours(problem)
    truth.check_gradients(OURS, own.model.loss_and_gradients)
    own.fit(epochs=1)
    truth.check_parameters(OURS, own.model.parameters)
    epochs = 10 if row.B <= 8 else 3  # per call: enough to make the cost of a call negligible
    fit = partial(own.fit, epochs)
    found = [Contender("fit", OURS, fit, epochs * problem.updates, row.flop)]
    if row.B == 1:
        run = script(Ours(problem).model, problem)
        truth.check_parameters(f"{OURS}, {SCRIPT}", run())
        found.append(Contender(SCRIPT, SCRIPT, run, problem.updates, row.flop))
    return fastest(found, len(found))


@contextmanager
def noted(name: str, notes: list[str]) -> Iterator[None]:
    """Turn any exception of the block into a note, so that the other contenders still run."""
    try:
        yield
    except WrongResultError as error:
        notes.append(f"refused {error}")
    except Exception as error:
        reason = str(error).partition("\n")[0]
        notes.append(f"left out {name}: {type(error).__name__}: {reason}")


def theirs(
    family: str, peer: ModuleType, truth: Truth, quick: bool, say: Say
) -> tuple[list[Contender], list[str]]:
    """Return a peer's fastest implementations after a short trial, checked and warmed up.

    Implementations that fail become notes. An example is `torch.compile` without a C++ compiler.

    Returns
    -------
    contenders : list of Contender
        The fastest two, or the fastest one if `quick`.
    notes : list of str
        Reasons why implementations are missing.
    """
    problem = truth.problem
    ways: dict[str, Runner] = {}
    notes: list[str] = []
    say(f"{family}: checking the gradients")
    with noted(family, notes):
        ways = peer.ways(problem, quick)
        if ways:
            gradients = partial(peer.loss_and_gradients, problem.row, problem.params)
            truth.check_gradients(family, gradients)
    ways = {} if notes else ways
    work = partial(Contender, family=family, updates=problem.updates, flop=problem.row.flop)
    return checked(ways, truth.check_parameters, work, quick, say, notes), notes


def checked(
    ways: Mapping[str, Callable[[], Any]],
    check: Callable[[str, Any], None],
    work: Callable[..., Contender],
    quick: bool,
    say: Say,
    notes: list[str],
) -> list[Contender]:
    """Return the fastest implementations whose first result passes `check`.

    Parameters
    ----------
    ways : dict
        Implementations by name.
    check : callable
        ``check(name, result)`` raises WrongResultError.
    work : callable
        ``work(name=name, run=run)`` returns the contender.
    quick : bool
        Keep one implementation, not two.
    say : callable
        Takes the name of the implementation that is next.
    notes : list of str
        Takes the reasons why implementations are missing.
    """
    found = []
    for name, run in ways.items():
        say(name)
        with noted(name, notes):
            check(name, run())  # the first call compiles
            found.append(work(name=name, run=run))
    return fastest(found, 1 if quick else 2)


def gemm(dtype: str) -> Contender:
    """Return the product of two square matrices, warmed up."""
    a, b = np.random.default_rng(0).standard_normal((2, SIDE, SIDE)).astype(dtype)
    run = partial(np.matmul, a, b, out=np.empty_like(a))
    run()
    name = {"float32": "sgemm", "float64": "dgemm"}[dtype]
    return Contender(f"{name} {SIDE}^3", GEMM, run, updates=1, flop=2 * SIDE**3, calls=5)


def field(
    problem: Problem, peers: Mapping[str, ModuleType], quick: bool, say: Say
) -> tuple[list[Contender], list[str]]:
    """Return all contenders in the order of their turns, and notes on the missing ones.

    Raises
    ------
    WrongResultError
        If rnn_fast's result is wrong.
    """
    truth, notes = Truth(problem), []
    say("rnn_fast")
    found = [*ours(truth), gemm(problem.row.dtype)]
    for family, peer in peers.items():
        fast, wrong = theirs(family, peer, truth, quick, say)
        found += fast
        notes += wrong
    return found, notes
