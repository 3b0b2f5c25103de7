"""Whoever is timed must first be right: the same loss, gradients and updates as float64 NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import Params, textbook
from .problems import Problem

GRADIENT_TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
UPDATE_TOLERANCE = {"float32": 2e-2, "float64": 1e-8}  # float32 rounds a weight at every update


class WrongResultError(Exception):
    """A contender computes something else."""


def check_gradients(
    name: str,
    contender: Callable[[np.ndarray, np.ndarray], tuple[float, Mapping[str, Any]]],
    problem: Problem,
) -> None:
    """Compare a contender's loss and gradients of the first batch, or raise WrongResultError."""
    x, y = problem.x[0], problem.y[0]
    loss, gradients = contender(x, y)
    params = in_float64(problem.params)
    want, want_gradients = textbook.loss_and_gradients(problem.row, params, x.astype(float), y)
    error = max(abs(loss - want) / want, relative_error(gradients, want_gradients))
    if not error < GRADIENT_TOLERANCE[problem.row.dtype]:
        raise WrongResultError(f"{name}: loss or gradients are off by {error:.1e}")


def check_parameters(name: str, got: Mapping[str, Any], want: Params, problem: Problem) -> None:
    """Compare how far an epoch has moved the parameters, or raise WrongResultError."""
    start = in_float64(problem.params)
    moved = {key: np.reshape(np.asarray(got[key]), p.shape) - p for key, p in start.items()}
    error = relative_error(moved, {key: want[key] - p for key, p in start.items()})
    if not error < UPDATE_TOLERANCE[problem.row.dtype]:
        raise WrongResultError(f"{name}: updates are off by {error:.1e}")


def parameters_after_an_epoch(problem: Problem) -> Params:
    """Return where plain SGD gets in float64."""
    params, x = in_float64(problem.params), problem.x.astype(float)
    return textbook.parameters_after_an_epoch(problem.row, params, x, problem.y)


def in_float64(params: Params) -> Params:
    """Return a copy in double precision."""
    return {name: value.astype(float) for name, value in params.items()}


def relative_error(got: Mapping[str, Any], want: Params) -> float:
    """Return the largest error of any array, relative to the largest element of that array."""
    return max(
        float(np.abs(np.asarray(got[name]) - value).max() / np.abs(value).max())
        for name, value in want.items()
    )
