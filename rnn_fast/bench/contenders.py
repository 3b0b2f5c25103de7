"""Who takes part in a row: rnn_fast, the peers, and this machine's own matrix product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from ..models import MODELS
from .checks import Truth, WrongResultError
from .peers.numpy_rnn import script
from .problems import LEARNING_RATE, Problem
from .results import GEMM, OURS, SCRIPT
from .rows import Row
from .timing import Contender, fastest

SIDE = 1024  # of the matrices of the product

Say = Callable[[str], None]


def model_of(row: Row) -> Any:
    """A new model of the row's network."""
    return MODELS[row.cell](
        row.I,
        row.H,
        num_layers=row.layers,
        return_sequences=row.sequences,
        dtype=row.dtype,
        seed=0,
    )


class Ours:
    """rnn_fast on a problem.

    Parameters
    ----------
    problem : Problem
        Its parameters are the initial ones.
    """

    def __init__(self, problem: Problem) -> None:
        row = problem.row
        self.problem = problem
        self.model = model_of(row)
        for name, value in problem.params.items():
            setattr(self.model, name, value)
        self.x = problem.x.reshape(-1, row.T, row.I)
        self.y = problem.y.reshape(-1, *problem.y.shape[2:])

    def fit(self, epochs: int) -> Any:
        """Train, and give the history."""
        return self.model.fit(
            self.x,
            self.y,
            epochs=epochs,
            batch_size=self.problem.row.B,
            learning_rate=LEARNING_RATE,
            shuffle=False,
            verbose=False,
        )


def ours(truth: Truth) -> list[Contender]:
    """Our `fit`, and for single samples also the tutorial's script; checked and warm."""
    problem = truth.problem
    row, own = problem.row, Ours(problem)
    truth.check_gradients(OURS, own.model.loss_and_gradients)
    own.fit(epochs=1)
    truth.check_parameters(OURS, own.model.parameters)
    epochs = 10 if row.B == 1 else 3  # of a call: what is done once a call hardly counts
    fit = partial(own.fit, epochs)
    found = [Contender("fit", OURS, fit, epochs * problem.updates, row.flop)]
    if row.B == 1:
        run = script(Ours(problem).model, problem.x[:, 0], problem.y[:, 0])
        truth.check_parameters(f"{OURS}, {SCRIPT}", run())
        found.append(Contender(SCRIPT, SCRIPT, run, problem.updates, row.flop))
    return fastest(found, len(found))


def theirs(family: str, peer: ModuleType, truth: Truth, quick: bool, say: Say) -> list[Contender]:
    """A peer's fastest ways of doing the problem, after a short trial; checked and warm."""
    problem = truth.problem
    if not (ways := peer.ways(problem, quick)):
        return []
    say(f"{family}: checking the gradients")
    truth.check_gradients(family, partial(peer.loss_and_gradients, problem.row, problem.params))
    found = []
    for name, run in ways.items():
        say(name)  # the first call compiles
        truth.check_parameters(name, run())
        found.append(Contender(name, family, run, problem.updates, problem.row.flop))
    return fastest(found, 1 if quick else 2)


def gemm(dtype: str) -> Contender:
    """The product of two square matrices, warm."""
    a, b = np.random.default_rng(0).standard_normal((2, SIDE, SIDE)).astype(dtype)
    run = partial(np.matmul, a, b, out=np.empty_like(a))
    run()
    name = {"float32": "sgemm", "float64": "dgemm"}[dtype]
    return Contender(f"{name} {SIDE}^3", GEMM, run, updates=1, flop=2 * SIDE**3, calls=5)


def field(
    problem: Problem, peers: Mapping[str, ModuleType], quick: bool, say: Say
) -> tuple[list[Contender], list[str]]:
    """Everyone in the order of their turns, and what is wrong with those who are not among them.

    Raises
    ------
    WrongResultError
        It is we who are wrong.
    """
    truth, refused = Truth(problem), []
    say("rnn_fast")
    found = [*ours(truth), gemm(problem.row.dtype)]
    for family, peer in peers.items():
        try:
            found += theirs(family, peer, truth, quick, say)
        except WrongResultError as error:
            refused.append(f"refused {error}")
        except Exception as error:  # another library's, of whatever kind, is not the end of ours
            refused.append(f"left out {family}: {type(error).__name__}: {error}")
    return found, refused
