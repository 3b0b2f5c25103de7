"""NumPy: `textbook` for mini-batches, and the tutorial's class, corrected, for single samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..problems import LEARNING_RATE, Params, Problem, Runner
from ..textbook import loss_and_gradients

__all__ = ["SimpleRNN", "loss_and_gradients", "script", "ways"]


def ways(problem: Problem, quick: bool) -> dict[str, Runner]:
    """Return the one implementation of an epoch; see the package."""
    x, y = problem.x, problem.y
    if problem.row.B > 1:
        return {"NumPy": mini_batches(problem)}
    model = SimpleRNN(x.shape[3], problem.row.H, y.shape[2])
    for name, value in problem.params.items():
        setattr(model, name, value[:, None].copy() if value.ndim == 1 else value.copy())
    return {"NumPy": script(model, x[:, 0], y[:, 0])}


def mini_batches(problem: Problem) -> Runner:
    """Return an epoch of `textbook` updates in the row's dtype."""
    params = {name: value.copy() for name, value in problem.params.items()}

    def run() -> Params:
        for xb, yb in zip(problem.x, problem.y, strict=True):
            for name, gradient in loss_and_gradients(problem.row, params, xb, yb)[1].items():
                params[name] -= LEARNING_RATE * gradient
        return params

    return run


def script(model: Any, x: np.ndarray, y: np.ndarray) -> Runner:
    """Return the tutorial's loop for a model with its interface; x (N, T, I), y (N, O)."""
    samples = list(zip(x[..., None], y[..., None], strict=True))

    def run() -> Mapping[str, Any]:
        for sample, label in samples:
            model.forward(sample)
            model.backward(label)
        return {name: getattr(model, name) for name in ("Wxh", "Whh", "bh", "Why", "by")}

    return run


def sigmoid(z: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-z))`` without overflow."""
    return np.exp(-np.logaddexp(0, -z))


class SimpleRNN:
    """The tutorial's interface: `forward` a sequence, then `backward` its label for an SGD step.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        I, H and O.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        draw = np.random.default_rng().standard_normal
        self.Wxh = draw((hidden_size, input_size)) * np.sqrt(1 / input_size)
        self.Whh = draw((hidden_size, hidden_size)) * np.sqrt(1 / hidden_size)
        self.Why = draw((output_size, hidden_size)) * np.sqrt(1 / hidden_size)
        self.bh = np.zeros((hidden_size, 1))
        self.by = np.zeros((output_size, 1))
        self.learning_rate = LEARNING_RATE

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the probabilities (O, 1) for one sequence x (T, I, 1)."""
        T = len(x)
        self.x = x[:, :, 0]
        self.hs = np.zeros((T + 1, len(self.Whh)), self.Whh.dtype)
        a = self.x @ self.Wxh.T + self.bh.T  # input product of all steps at once
        for t in range(T):
            np.tanh(a[t] + self.Whh @ self.hs[t], out=self.hs[t + 1])
        self.p = sigmoid(self.Why @ self.hs[T, :, None] + self.by)
        return self.p

    def backward(self, y: np.ndarray) -> None:
        """Take one SGD step on the binary cross-entropy of the last `forward` and y (O, 1)."""
        dz = (self.p - y) / len(self.p)
        slope = 1 - self.hs[1:] ** 2
        da = np.empty_like(slope)
        dh = (self.Why.T @ dz)[:, 0]
        for t in reversed(range(len(da))):
            np.multiply(dh, slope[t], out=da[t])
            dh = da[t] @ self.Whh
        self.Why -= self.learning_rate * (dz @ self.hs[-1:])
        self.by -= self.learning_rate * dz
        self.Wxh -= self.learning_rate * (da.T @ self.x)  # one product over all steps
        self.Whh -= self.learning_rate * (da.T @ self.hs[:-1])
        self.bh -= self.learning_rate * da.sum(axis=0)[:, None]
