"""Reference networks in NumPy, as a plain loop over time; float64 is the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cells import CELLS
from .problems import LEARNING_RATE, Params, recurrent_bias, weights
from .rows import Row


def loss_and_gradients(
    row: Row, params: Params, x: np.ndarray, y: np.ndarray
) -> tuple[float, Params]:
    """Return the mean loss of x (B, T, I) with y (B, 1) or (B, T, 1), and its gradients."""
    inputs, kept = [x.swapaxes(0, 1)], []
    for layer in range(row.layers):
        found = forward(row, weights(params, layer), inputs[-1])
        inputs.append(found[0][1:])
        kept.append(found)
    h = inputs[-1] if row.sequences else inputs[-1][-1:]
    y = y.swapaxes(0, 1) if row.sequences else y[None]
    z = h @ params["Why"].T + params["by"]
    loss = np.mean(np.logaddexp(0, z) - y * z)

    dz = (np.exp(-np.logaddexp(0, -z)) - y) / z.size
    gradients = {"Why": np.einsum("tbo,tbh->oh", dz, h), "by": dz.sum((0, 1))}
    dh = np.zeros_like(inputs[-1])
    dh[-len(h) :] = dz @ params["Why"]
    for layer in reversed(range(row.layers)):
        own = weights(params, layer)
        dh, by_own = backward(row, own, inputs[layer], *kept[layer], dh)
        gradients |= {name + (f"_l{layer}" if layer else ""): g for name, g in by_own.items()}
    return float(loss), {name: gradients[name] for name in params}


def outputs(row: Row, params: Params, x: np.ndarray) -> np.ndarray:
    """Return the logits (B, T, 1) after every step of x (B, T, I)."""
    h = x.swapaxes(0, 1)
    for layer in range(row.layers):
        h = forward(row, weights(params, layer), h)[0][1:]
    return (h @ params["Why"].T + params["by"]).swapaxes(0, 1)


def forward(row: Row, w: Params, x: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Return the states h_0 .. h_T (T + 1, B, H) of a layer, and the values that steps keep."""
    cell = CELLS[row.cell]
    state = (np.zeros((x.shape[1], row.H), x.dtype),) * cell.states
    hs, kept = [state[0]], []
    for x_t in x:
        ah = state[0] @ w["Whh"].T + recurrent_bias(np, row, w)
        state, own = cell.forward(np, x_t @ w["Wxh"].T + w["bh"], ah, state)
        hs.append(state[0])
        kept.append(own)
    return np.stack(hs), kept


def backward(
    row: Row, w: Params, x: np.ndarray, hs: np.ndarray, kept: list[Any], dh: np.ndarray
) -> tuple[np.ndarray, Params]:
    """Return the gradients with respect to x and the weights of a layer.

    dh (T, B, H) is the gradient with respect to the output of the layer.
    """
    cell = CELLS[row.cell]
    d: tuple[Any, ...] = (0.0,) * cell.states
    dax, dah = [], []
    for own, dh_t in zip(reversed(kept), dh[::-1], strict=True):
        by_x, by_h, past = cell.backward(np, own, (d[0] + dh_t, *d[1:]))
        d = (past[0] + by_h @ w["Whh"], *past[1:])
        dax.append(by_x)
        dah.append(by_h)
    by_x, by_h = np.stack(dax[::-1]), np.stack(dah[::-1])
    gradients = {
        "Wxh": np.einsum("tba,tbi->ai", by_x, x, optimize=True),
        "Whh": np.einsum("tba,tbh->ah", by_h, hs[:-1], optimize=True),
        "bh": by_x.sum((0, 1)),
    }
    if "bhn" in w:
        gradients["bhn"] = by_h.sum((0, 1))[2 * row.H :]
    return by_x @ w["Wxh"], gradients


def parameters_after_an_epoch(row: Row, params: Params, x: np.ndarray, y: np.ndarray) -> Params:
    """Return the parameters after an epoch of plain SGD, one update per batch of x (K, B, T, I)."""
    params = {name: value.copy() for name, value in params.items()}
    for xb, yb in zip(x, y, strict=True):
        for name, gradient in loss_and_gradients(row, params, xb, yb)[1].items():
            params[name] -= LEARNING_RATE * gradient
    return params
