"""Checks before timing: loss, gradients, updates and outputs must agree with float64 NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from . import textbook
from .problems import Params, Problem

GRADIENT_TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
OUTPUT_TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
UPDATE_TOLERANCE = {"float32": 2e-2, "float64": 1e-8}  # float32 rounds a weight at every update


class WrongResultError(Exception):
    """A contender's result differs from the reference."""


class Truth:
    """Reference results for a problem, computed by `textbook` in float64."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.dtype = problem, problem.row.dtype
        self.start = {name: value.astype(float) for name, value in problem.params.items()}
        self.x = problem.x.astype(float)

    @cached_property
    def first(self) -> tuple[float, Params]:
        """Loss of the first batch, and its gradients."""
        y = self.problem.y[0]
        return textbook.loss_and_gradients(self.problem.row, self.start, self.x[0], y)

    @cached_property
    def moved(self) -> Params:
        """Change of each parameter over an epoch of SGD."""
        row, y = self.problem.row, self.problem.y
        end = textbook.parameters_after_an_epoch(row, self.start, self.x, y)
        return {name: end[name] - value for name, value in self.start.items()}

    def check_gradients(
        self,
        name: str,
        contender: Callable[[np.ndarray, np.ndarray], tuple[float, Mapping[str, Any]]],
    ) -> None:
        """Raise WrongResultError if the loss or a gradient of the first batch is wrong."""
        loss, gradients = contender(self.problem.x[0], self.problem.y[0])
        want, expected = self.first
        error = max(abs(loss - want) / want, relative_error(gradients, expected))
        if not error < GRADIENT_TOLERANCE[self.dtype]:
            raise WrongResultError(f"{name}: loss or gradients are off by {error:.1e}")

    def check_parameters(self, name: str, got: Mapping[str, Any]) -> None:
        """Raise WrongResultError if the parameters after an epoch of SGD are wrong."""
        moved = {
            key: np.reshape(np.asarray(got[key]), value.shape) - value
            for key, value in self.start.items()
        }
        error = relative_error(moved, self.moved)
        if not error < UPDATE_TOLERANCE[self.dtype]:
            raise WrongResultError(f"{name}: updates are off by {error:.1e}")


def check_outputs(name: str, got: np.ndarray, want: np.ndarray) -> None:
    """Raise WrongResultError if outputs differ from those of the reference, in float64."""
    error = relative_error({"outputs": got}, {"outputs": want})
    if not error < OUTPUT_TOLERANCE[got.dtype.name]:
        raise WrongResultError(f"{name}: outputs are off by {error:.1e}")


def relative_error(got: Mapping[str, Any], want: Params) -> float:
    """Return the largest error of any array, relative to the largest element of this array."""
    return max(
        float(np.abs(np.asarray(got[name]) - value).max() / np.abs(value).max())
        for name, value in want.items()
    )
