"""NumPy: `textbook` for mini-batches, and loops over the steps of one sequence.

Single samples of a tanh network train by the tutorial's class, corrected. A step of a stream takes
one tanh for all sigmoids and, in an LSTM, g: ``sigmoid(a) = tanh(a / 2) / 2 + 1 / 2``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..problems import LEARNING_RATE, Params, Problem, Runner
from ..rows import Row
from ..textbook import loss_and_gradients

__all__ = ["SimpleRNN", "loss_and_gradients", "script", "streams", "ways"]


def ways(problem: Problem, quick: bool) -> dict[str, Runner]:
    """Return the one implementation of an epoch; see the package."""
    x, y = problem.x, problem.y
    if problem.row.B > 1 or problem.row.cell != "rnn":
        return {"NumPy": mini_batches(problem)}
    model = SimpleRNN(x.shape[3], problem.row.H, y.shape[2])
    for name, value in problem.params.items():
        setattr(model, name, value[:, None].copy() if value.ndim == 1 else value.copy())
    return {"NumPy": script(model, problem)}


def mini_batches(problem: Problem) -> Runner:
    """Return an epoch of `textbook` updates in the row's dtype."""
    params = {name: value.copy() for name, value in problem.params.items()}

    def run() -> Params:
        for xb, yb in zip(problem.x, problem.y, strict=True):
            for name, gradient in loss_and_gradients(problem.row, params, xb, yb)[1].items():
                params[name] -= LEARNING_RATE * gradient
        return params

    return run


def script(model: Any, problem: Problem) -> Runner:
    """Return the tutorial's loop over single samples for a model with its interface."""
    samples = list(zip(problem.x[:, 0, ..., None], problem.y[:, 0, ..., None], strict=True))

    def run() -> Mapping[str, Any]:
        for sample, label in samples:
            model.forward(sample)
            model.backward(label)
        return {name: getattr(model, name) for name in problem.params}

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


def streams(row: Row, params: Params, quick: bool) -> dict[str, Callable[..., np.ndarray]]:
    """Return the one implementation of a call; see the package."""
    advance, WxhT, bh = STREAMS[row.cell](row.H, params)
    WhyT, by = params["Why"].T.copy(), params["by"]
    hs = np.zeros((row.T, row.H), row.dtype)

    def call(x: np.ndarray) -> np.ndarray:
        advance((x @ WxhT + bh).reshape(row.T, -1), hs)  # input product of all steps at once
        return (hs @ WhyT + by).reshape(*x.shape[:-1], 1)

    return {"NumPy": call}


Stream = tuple[Callable[[np.ndarray, np.ndarray], None], np.ndarray, np.ndarray]


def stream_rnn(H: int, w: Params) -> Stream:
    """Return a function of ax (T, H) that writes the next states hs (T, H), and weights of ax."""
    Whh, h = w["Whh"], np.zeros(H, w["Whh"].dtype)

    def advance(ax: np.ndarray, hs: np.ndarray) -> None:
        for a, out in zip(ax, hs, strict=True):
            a += Whh @ h
            np.tanh(a, out=h)
            out[:] = h

    return advance, w["Wxh"].T.copy(), w["bh"]


def stream_gru(H: int, w: Params) -> Stream:
    """As `stream_rnn`, for a GRU; ax (T, 3 H)."""
    half = np.repeat([0.5, 0.5, 1], H).astype(w["bh"].dtype)
    Whh, bhn, h = half[:, None] * w["Whh"], w["bhn"], np.zeros(H, w["bh"].dtype)
    ah = np.zeros(3 * H, h.dtype)
    ah_rz, ah_n = ah[: 2 * H], ah[2 * H :]
    r, z = ah[:H], ah[H : 2 * H]

    def advance(ax: np.ndarray, hs: np.ndarray) -> None:
        for a, out in zip(ax, hs, strict=True):
            np.dot(Whh, h, out=ah)
            np.add(ah_rz, a[: 2 * H], out=ah_rz)
            np.tanh(ah_rz, out=ah_rz)
            np.multiply(ah_rz, 0.5, out=ah_rz)
            np.add(ah_rz, 0.5, out=ah_rz)
            np.add(ah_n, bhn, out=ah_n)
            np.multiply(ah_n, r, out=ah_n)
            np.add(ah_n, a[2 * H :], out=ah_n)
            np.tanh(ah_n, out=ah_n)
            np.subtract(h, ah_n, out=h)
            np.multiply(h, z, out=h)
            np.add(h, ah_n, out=h)
            out[:] = h

    return advance, (half[:, None] * w["Wxh"]).T.copy(), half * w["bh"]


def stream_lstm(H: int, w: Params) -> Stream:
    """As `stream_rnn`, for an LSTM; ax (T, 4 H), its gates in the order i f o g."""

    def gates(v: np.ndarray) -> np.ndarray:
        i, f, g, o = np.split(v, 4)
        return np.concatenate([0.5 * i, 0.5 * f, 0.5 * o, g]).astype(v.dtype)

    Whh, h, c, ig = gates(w["Whh"]), *np.zeros((3, H), w["Whh"].dtype)
    a = np.zeros(4 * H, h.dtype)
    ifo, (i, f, o, g) = a[: 3 * H], np.split(a, 4)

    def advance(ax: np.ndarray, hs: np.ndarray) -> None:
        for ax_t, out in zip(ax, hs, strict=True):
            np.dot(Whh, h, out=a)
            np.add(a, ax_t, out=a)
            np.tanh(a, out=a)
            np.multiply(ifo, 0.5, out=ifo)
            np.add(ifo, 0.5, out=ifo)
            np.multiply(i, g, out=ig)
            np.multiply(c, f, out=c)
            np.add(c, ig, out=c)
            np.tanh(c, out=h)
            np.multiply(h, o, out=h)
            out[:] = h

    return advance, gates(w["Wxh"]).T.copy(), gates(w["bh"])


STREAMS = {"rnn": stream_rnn, "gru": stream_gru, "lstm": stream_lstm}
