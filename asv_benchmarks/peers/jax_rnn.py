"""JAX: a whole epoch in one `jit`, with donated parameters, in every layout that wins somewhere.

A batch is a scan over time inside a scan over batches. How far the inner one is unrolled, whether
the input product is taken out of it, and whether samples are rows or columns matters by a factor
of two, each way at some size, so all are offered. The gradients are JAX's own, except in
`by_hand`, which forms each weight gradient as one product over all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from . import Params, Runner

jax.config.update("jax_enable_x64", True)  # else float64 input is silently cut to float32

Weights = dict[str, Array]
Gradients = Callable[..., Weights]
TIME_FIRST = (0, 2, 1, 3)  # (K, B, T, I) to (K, T, B, I)
COLUMNS = (0, 2, 3, 1)  # to (K, T, I, B)


def cross_entropy(z: Array, y: Array) -> Array:
    """Return the mean binary cross-entropy of logits z with targets y."""
    return jnp.mean(jax.nn.softplus(z) - y * z)


def rows(w: Weights, x: Array, y: Array, unroll: int = 1) -> Array:
    """Return the loss, with the input product of all steps taken at once; x (T, B, I)."""
    a = x @ w["Wxh"].T + w["bh"]
    h_0 = jnp.zeros_like(a[0])
    h, _ = lax.scan(lambda h, a_t: (jnp.tanh(a_t + h @ w["Whh"].T), None), h_0, a, unroll=unroll)
    return cross_entropy(h @ w["Why"].T + w["by"], y)


def rows_late(w: Weights, x: Array, y: Array, unroll: int = 1) -> Array:
    """Return the loss, with the input product inside the step; x (T, B, I)."""

    def step(h: Array, x_t: Array) -> tuple[Array, None]:
        return jnp.tanh(x_t @ w["Wxh"].T + h @ w["Whh"].T + w["bh"]), None

    h_0 = jnp.zeros((x.shape[1], len(w["bh"])), x.dtype)
    h, _ = lax.scan(step, h_0, x, unroll=unroll)
    return cross_entropy(h @ w["Why"].T + w["by"], y)


def columns(w: Weights, x: Array, y: Array, unroll: int = 1) -> Array:
    """Return the loss, with states (H, B) and so the weights on the left; x (T, I, B)."""
    a = w["Wxh"] @ x + w["bh"][:, None]
    h_0 = jnp.zeros_like(a[0])
    h, _ = lax.scan(lambda h, a_t: (jnp.tanh(a_t + w["Whh"] @ h), None), h_0, a, unroll=unroll)
    return cross_entropy(h.T @ w["Why"].T + w["by"], y)


def alone_looped(w: Weights, x: Array, y: Array) -> Array:
    """Return the loss of one sequence x (T, I), its steps written out; products are W h."""
    h = jnp.zeros_like(w["bh"])
    for x_t in x:
        h = jnp.tanh(w["Wxh"] @ x_t + w["Whh"] @ h + w["bh"])
    return cross_entropy(w["Why"] @ h + w["by"], y)


def alone_scanned(w: Weights, x: Array, y: Array) -> Array:
    """Return the same by a scan, fully unrolled, with the input product taken out."""
    a = x @ w["Wxh"].T + w["bh"]
    h_0 = jnp.zeros_like(w["bh"])
    h, _ = lax.scan(lambda h, a_t: (jnp.tanh(a_t + w["Whh"] @ h), None), h_0, a, unroll=len(x))
    return cross_entropy(w["Why"] @ h + w["by"], y)


def by_hand(w: Weights, x: Array, y: Array, unroll: int = 1) -> Weights:
    """Return the gradients, each a product over all steps at once; x (T, B, I)."""

    def forward(h: Array, a_t: Array) -> tuple[Array, Array]:
        h = jnp.tanh(a_t + h @ w["Whh"].T)
        return h, h

    def backward(dh: Array, h_t: Array) -> tuple[Array, Array]:
        da = dh * (1 - h_t * h_t)
        return da @ w["Whh"], da

    a = x @ w["Wxh"].T + w["bh"]
    h, hs = lax.scan(forward, jnp.zeros_like(a[0]), a, unroll=unroll)
    dz = (jax.nn.sigmoid(h @ w["Why"].T + w["by"]) - y) / y.size
    _, da = lax.scan(backward, dz @ w["Why"], hs, reverse=True, unroll=unroll)
    return {
        "Wxh": jnp.einsum("tbh,tbi->hi", da, x),
        "Whh": jnp.einsum("tbh,tbk->hk", da[1:], hs[:-1]),  # h_0 is zero
        "bh": da.sum(axis=(0, 1)),
        "Why": dz.T @ h,
        "by": dz.sum(axis=0),
    }


def runner(
    gradients: Gradients, params: Params, x: Array, y: Array, learning_rate: float
) -> Runner:
    """Return an epoch of updates, one per first index of x and y, as one compiled call."""

    def update(w: Weights, batch: tuple[Array, Array]) -> tuple[Weights, None]:
        return jax.tree.map(lambda p, g: p - learning_rate * g, w, gradients(w, *batch)), None

    @partial(jax.jit, donate_argnums=0)
    def epoch(w: Weights, x: Array, y: Array) -> Weights:
        return lax.scan(update, w, (x, y))[0]

    w = jax.tree.map(jnp.array, params)  # a copy, which `epoch` may overwrite

    def run() -> Mapping[str, Any]:
        nonlocal w
        w = jax.block_until_ready(epoch(w, x, y))
        return w

    return run


def unrollings(T: int) -> tuple[int, ...]:
    """Return how many steps to unroll: none, four, ten, and all where that still compiles soon."""
    return (1, 4, 10, T) if T <= 100 else (1, 4, 10)


def step_runners(
    params: Params, x: np.ndarray, y: np.ndarray, learning_rate: float
) -> dict[str, Runner]:
    """Return an epoch of mini-batches in every layout and unrolling; see the package."""
    layouts: dict[str, tuple[Gradients, tuple[int, int, int, int]]] = {
        "rows": (jax.grad(rows), TIME_FIRST),
        "rows late": (jax.grad(rows_late), TIME_FIRST),
        "columns": (jax.grad(columns), COLUMNS),
        "by hand": (by_hand, TIME_FIRST),
    }
    data = {axes: jnp.array(x.transpose(axes)) for axes in (TIME_FIRST, COLUMNS)}
    return {
        f"JAX {name}, unroll {unroll}": runner(
            partial(gradients, unroll=unroll), params, data[axes], jnp.array(y), learning_rate
        )
        for name, (gradients, axes) in layouts.items()
        for unroll in unrollings(x.shape[2])
    }


def tutorial_runners(
    params: Params, x: np.ndarray, y: np.ndarray, learning_rate: float
) -> dict[str, Runner]:
    """Return an epoch of per-sample updates with time fully unrolled; see the package."""
    data = jnp.array(x), jnp.array(y)
    return {
        f"JAX {name}": runner(jax.grad(loss), params, *data, learning_rate)
        for name, loss in {"looped": alone_looped, "scanned": alone_scanned}.items()
    }


def loss_and_gradients(params: Params, x: np.ndarray, y: np.ndarray) -> tuple[float, Params]:
    """Return the mean loss and its gradients."""
    loss, gradients = jax.value_and_grad(rows)(params, x.swapaxes(0, 1), y)
    return float(loss), {name: np.asarray(gradient) for name, gradient in gradients.items()}
