"""JAX: an epoch in one `jit`, with donated parameters, in each layout that wins at some size.

An epoch is a scan over batches; each layer is a scan over time inside it. Three choices change the
time by a factor of two, and each choice wins at some size. They are the unrolling of the inner
scan, the input product inside or outside the scan, and samples as rows, as columns or, one at a
time, as vectors. JAX differentiates all forms except `by_hand`, which forms each weight gradient as
one product over all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ..cells import CELLS
from ..problems import LEARNING_RATE, Params, Problem, Runner, recurrent_bias, weights
from ..rows import Row

jax.config.update("jax_enable_x64", True)  # else JAX silently rounds float64 input to float32

Weights = dict[str, Array]
Gradients = Callable[..., Weights]


def cross_entropy(z: Array, y: Array) -> Array:
    """Return the mean binary cross-entropy of logits z with targets y."""
    return jnp.mean(jax.nn.softplus(z) - y * z)


def zeros(row: Row, *shape: int) -> tuple[Array, ...]:
    """Return a state of zeros."""
    return (jnp.zeros(shape, row.dtype),) * CELLS[row.cell].states


def rows(row: Row, w: Weights, x: Array, y: Array, unroll: int = 1, early: bool = True) -> Array:
    """Return the loss; x (T, B, I), y (B, 1) or (T, B, 1).

    `early` forms the input product of all steps at once, before the scan.
    """
    for layer in range(row.layers):
        own, every = weights(w, layer), row.sequences or layer < row.layers - 1
        bias = recurrent_bias(jnp, row, own)

        def take(x: Array, own: Weights = own) -> Array:
            return x @ own["Wxh"].T + own["bh"]

        def step(
            state: Any,
            x_t: Array,
            own: Any = own,
            take: Any = take,
            bias: Any = bias,
            every: bool = every,
        ) -> Any:
            ax, ah = x_t if early else take(x_t), state[0] @ own["Whh"].T + bias
            state, _ = CELLS[row.cell].forward(jnp, ax, ah, state)
            return state, state[0] if every else None

        state = zeros(row, x.shape[1], row.H)
        state, hs = lax.scan(step, state, take(x) if early else x, unroll=unroll)
        x = hs if every else state[0]
    return cross_entropy(x @ w["Why"].T + w["by"], y)


def columns(row: Row, w: Weights, x: Array, y: Array, unroll: int = 1) -> Array:
    """Return the loss, with states (H, B) and the weights on the left; x (T, I, B)."""
    for layer in range(row.layers):
        own, every = weights(w, layer), row.sequences or layer < row.layers - 1
        bias = jnp.reshape(recurrent_bias(jnp, row, own), (-1, 1))

        def step(
            state: Any, ax: Array, own: Any = own, bias: Any = bias, every: bool = every
        ) -> Any:
            ah = own["Whh"] @ state[0] + bias
            state, _ = CELLS[row.cell].forward(jnp, ax, ah, state, axis=0)
            return state, state[0] if every else None

        state = zeros(row, row.H, x.shape[2])
        state, hs = lax.scan(step, state, own["Wxh"] @ x + own["bh"][:, None], unroll=unroll)
        x = hs if every else state[0]
    z = w["Why"] @ x + w["by"][:, None]
    return cross_entropy(z, y.swapaxes(-1, -2))


def by_hand(row: Row, w: Weights, x: Array, y: Array, unroll: int = 1) -> Weights:
    """Return the gradients, each weight gradient one product over all steps; x (T, B, I)."""
    cell, inputs, tape = CELLS[row.cell], [x], []
    for layer in range(row.layers):
        own = weights(w, layer)
        bias = recurrent_bias(jnp, row, own)

        def forward(state: Any, ax: Array, own: Any = own, bias: Any = bias) -> Any:
            state, kept = cell.forward(jnp, ax, state[0] @ own["Whh"].T + bias, state)
            return state, (state[0], kept)

        state = zeros(row, x.shape[1], row.H)
        ax = inputs[-1] @ own["Wxh"].T + own["bh"]
        _, (hs, kept) = lax.scan(forward, state, ax, unroll=unroll)
        inputs.append(hs)
        tape.append(kept)
    h = inputs[-1] if row.sequences else inputs[-1][-1:]
    dz = (jax.nn.sigmoid(h @ w["Why"].T + w["by"]) - y.reshape(*h.shape[:2], 1)) / y.size
    gradients = {"Why": jnp.einsum("tbo,tbh->oh", dz, h), "by": dz.sum(axis=(0, 1))}
    last, dhs = dz @ w["Why"], None  # gradient with respect to the last output, or all
    if row.sequences:
        last, dhs = jnp.zeros_like(last[0]), last
    else:
        last = last[0]
    for layer in reversed(range(row.layers)):
        own = weights(w, layer)

        def backward(d: Any, step: Any, own: Any = own) -> Any:
            kept, dh_t = step
            by_x, by_h, past = cell.backward(
                jnp, kept, d if dh_t is None else (d[0] + dh_t, *d[1:])
            )
            return (past[0] + by_h @ own["Whh"], *past[1:]), (by_x, by_h)

        d = (last, *zeros(row, x.shape[1], row.H)[1:])
        steps = (tape[layer], dhs)
        _, (by_x, by_h) = lax.scan(backward, d, steps, reverse=True, unroll=unroll)
        found = {
            "Wxh": jnp.einsum("tba,tbi->ai", by_x, inputs[layer]),
            "Whh": jnp.einsum("tba,tbh->ah", by_h[1:], inputs[layer + 1][:-1]),  # h_0 is zero
            "bh": by_x.sum(axis=(0, 1)),
        }
        if "bhn" in own:
            found["bhn"] = by_h[..., 2 * row.H :].sum(axis=(0, 1))
        gradients |= {name + (f"_l{layer}" if layer else ""): g for name, g in found.items()}
        if layer:
            last, dhs = jnp.zeros_like(last), by_x @ own["Wxh"]
    return gradients


def alone_looped(row: Row, w: Weights, x: Array, y: Array) -> Array:
    """Return the loss of one sequence x (T, I) by one layer, with every step written out."""
    state, bias = zeros(row, row.H), recurrent_bias(jnp, row, w)
    for x_t in x:
        ax, ah = w["Wxh"] @ x_t + w["bh"], w["Whh"] @ state[0] + bias
        state, _ = CELLS[row.cell].forward(jnp, ax, ah, state)
    return cross_entropy(w["Why"] @ state[0] + w["by"], y)


def alone(row: Row, w: Weights, x: Array, y: Array, unroll: int) -> Array:
    """Return the loss of one sequence x (T, I) by one layer, in a scan."""
    (h, *_), _ = sequence(row, w, zeros(row, row.H), x, unroll)
    return cross_entropy(w["Why"] @ h + w["by"], y)


def sequence(row: Row, w: Weights, state: Any, x: Array, unroll: int) -> Any:
    """Return the state after x (T, I), and the states h (T, H) of all steps."""
    bias = recurrent_bias(jnp, row, w)

    def step(state: Any, ax: Array) -> Any:
        state, _ = CELLS[row.cell].forward(jnp, ax, w["Whh"] @ state[0] + bias, state)
        return state, state[0]

    return lax.scan(step, state, x @ w["Wxh"].T + w["bh"], unroll=unroll)


def runner(gradients: Gradients, params: Params, x: Array, y: Array) -> Runner:
    """Return an epoch as one compiled call, with one update per first index of x and y."""

    def update(w: Weights, batch: tuple[Array, Array]) -> tuple[Weights, None]:
        found = gradients(w, *batch)
        return {name: p - LEARNING_RATE * found[name] for name, p in w.items()}, None

    @partial(jax.jit, donate_argnums=0)
    def epoch(w: Weights, x: Array, y: Array) -> Weights:
        return lax.scan(update, w, (x, y))[0]

    w = jax.tree.map(jnp.array, params)  # a copy, which `epoch` may overwrite

    def run() -> Mapping[str, Any]:
        nonlocal w
        w = jax.block_until_ready(epoch(w, x, y))
        return w

    return run


def unrollings(row: Row) -> tuple[int, ...]:
    """Return numbers of steps to unroll: 1, 4, 10, and all steps if they compile quickly.

    XLA takes a quarter of an hour and 9 GB for all of 100 LSTM steps.
    """
    return (1, 4, 10, row.T if row.T * row.gates <= 200 else 25)


def ways(problem: Problem, quick: bool) -> dict[str, Runner]:
    """Return implementations in all layouts and unrollings; see the package.

    `quick` keeps one or two that win often.
    """
    row, params = problem.row, problem.params
    x = jnp.array(problem.x.swapaxes(1, 2))  # (K, T, B, I)
    y = jnp.array(problem.y.swapaxes(1, 2) if row.sequences else problem.y)
    layouts: dict[str, tuple[Any, Any, Callable[[], Array]]] = {
        "rows": (jax.grad, rows, lambda: x),
        "rows late": (jax.grad, partial(rows, early=False), lambda: x),
        "columns": (jax.grad, columns, lambda: x.swapaxes(2, 3)),
        "by hand": (lambda gradients: gradients, by_hand, lambda: x),
    }
    forms = [(layout, unroll) for layout in layouts for unroll in unrollings(row)]
    single = row.B == 1 and row.layers == 1 and not row.sequences
    if quick:
        forms = [] if single else [("rows late", 1), ("columns", 1)]
    found = single_samples(problem, quick) if single else {}
    for layout, unroll in forms:
        differentiate, function, data = layouts[layout]
        gradients = differentiate(partial(function, row, unroll=unroll))
        found[f"JAX {layout}, unroll {unroll}"] = runner(gradients, params, data(), y)
    return found


def single_samples(problem: Problem, quick: bool) -> dict[str, Runner]:
    """Return implementations of an epoch of per-sample updates, by vectors instead of matrices."""
    row, x, y = problem.row, jnp.array(problem.x[:, 0]), jnp.array(problem.y[:, 0])
    numbers = unrollings(row)
    losses: dict[str, Any] = {
        f"alone, unroll {unroll}": partial(alone, unroll=unroll)
        for unroll in (numbers[-1:] if quick else numbers)
    }
    if numbers[-1] == row.T:
        losses["alone, looped"] = alone_looped
    return {
        f"JAX {name}": runner(jax.grad(partial(loss, row)), problem.params, x, y)
        for name, loss in losses.items()
    }


def streams(row: Row, params: Params, quick: bool) -> dict[str, Callable[..., np.ndarray]]:
    """Return implementations of a call with all useful unrollings; see the package."""
    numbers = [1] if row.T == 1 else [n for n in unrollings(row) if n == 1 or not quick]
    return {f"JAX unroll {unroll}": called(row, params, unroll) for unroll in numbers}


def called(row: Row, params: Params, unroll: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a call of one compiled function, which knows the weights."""
    w = {name: jnp.array(value) for name, value in params.items()}
    state = zeros(row, row.H)

    @jax.jit
    def advance(state: Any, x: Array) -> Any:
        state, hs = sequence(row, w, state, x.reshape(row.T, row.I), unroll)
        return state, (hs @ w["Why"].T + w["by"]).reshape(*x.shape[:-1], 1)

    def call(x: np.ndarray) -> np.ndarray:
        nonlocal state
        state, logits = advance(state, x)
        return np.asarray(logits)

    return call


def loss_and_gradients(
    row: Row, params: Params, x: np.ndarray, y: np.ndarray
) -> tuple[float, Params]:
    """Return the mean loss and its gradients."""
    y = y.swapaxes(0, 1) if row.sequences else y
    both = jax.jit(jax.value_and_grad(partial(rows, row)))
    loss, gradients = both(params, x.swapaxes(0, 1), y)
    return float(loss), {name: np.asarray(gradient) for name, gradient in gradients.items()}


def forget() -> None:
    """Free all compiled functions."""
    jax.clear_caches()
