"""Keras on JAX: `Sequential`, `compile` with `jit_compile`, and `fit`.

`fit` calls the compiled step for each batch. `steps_per_execution` would write several steps out
one after the other, which only takes longer to compile. The second bias of a GRU is kept at zero,
except in its last third, which is rnn_fast's bhn. Keras takes no part in float64, because its
layers (3.15) compute partly in float32.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"  # Keras reads it on import
import jax
import jax.numpy as jnp
import keras
from jax import Array

from ..problems import LEARNING_RATE, Params, Problem, Runner, weights
from ..rows import Row

jax.config.update("jax_enable_x64", True)

UNROLLED = 64  # most steps times gates times layers to unroll, which compile in some seconds
LAYERS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


class OurBias(keras.constraints.Constraint):
    """Keep the second bias of a GRU's (2, 3 H) biases at zero, except in its last third."""

    def __call__(self, w: Array) -> Array:
        """Return the biases w after the constraint."""
        held = np.ones(w.shape)
        held[1, : w.shape[1] // 3 * 2] = 0
        return w * keras.ops.cast(held, w.dtype)


def network(row: Row, params: Params, unroll: bool = False) -> Any:
    """Return a model with rnn_fast's parameters, not compiled."""
    options = {"bias_constraint": OurBias()} if row.cell == "gru" else {}
    layers = [keras.Input((row.T, row.I))]
    for layer in range(row.layers):
        every = row.sequences or layer < row.layers - 1
        own = {"return_sequences": every, "unroll": unroll, **options}
        layers.append(LAYERS[row.cell](row.H, **own))
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.set_weights(theirs(row, params))
    return model


def gates(row: Row, w: np.ndarray) -> np.ndarray:
    """Swap the first two gates of a GRU's w (3 H, ...): r z n in rnn_fast, z r n in Keras."""
    if row.cell != "gru":
        return w
    r, z, n = np.split(w, 3)
    return np.concatenate([z, r, n])


def theirs(row: Row, params: Params) -> list[np.ndarray]:
    """Return rnn_fast's parameters in the order and layout of the Keras model's weights."""
    found = []
    for layer in range(row.layers):
        own = weights(params, layer)
        bias = gates(row, own["bh"])
        if row.cell == "gru":
            bias = np.stack([bias, np.concatenate([np.zeros_like(bias[: 2 * row.H]), own["bhn"]])])
        found += [gates(row, own["Wxh"]).T, gates(row, own["Whh"]).T, bias]
    return [*found, params["Why"].T, params["by"]]


def ours(row: Row, found: list[Any]) -> Params:
    """Return the Keras model's weights, or their gradients, by rnn_fast's names."""
    *layers, Why, by = [np.asarray(value) for value in found]
    named = {"Why": Why.T, "by": by}
    for layer in range(row.layers):
        end = f"_l{layer}" if layer else ""
        Wxh, Whh, bias = layers[3 * layer : 3 * layer + 3]
        if row.cell == "gru":
            named["bhn" + end] = bias[1, 2 * row.H :]
            bias = bias[0]
        named |= {"Wxh" + end: gates(row, Wxh.T), "Whh" + end: gates(row, Whh.T)}
        named["bh" + end] = gates(row, bias)
    return named


def ways(problem: Problem, quick: bool) -> dict[str, Runner]:
    """Return implementations of an epoch by name, none in float64; see the package."""
    row = problem.row
    if row.dtype == "float64":
        return {}
    found = {"Keras": fitted(problem, unroll=False)}
    if not quick and row.T * row.gates * row.layers <= UNROLLED:
        found["Keras unrolled"] = fitted(problem, unroll=True)
    return found


def fitted(problem: Problem, unroll: bool) -> Runner:
    """Return an epoch of `fit`."""
    row = problem.row
    x = problem.x.reshape(-1, row.T, row.I)
    y = problem.y.reshape(-1, *problem.y.shape[2:])
    model = network(row, problem.params, unroll)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(LEARNING_RATE), loss, jit_compile=True)

    def run() -> Mapping[str, Any]:
        model.fit(x, y, batch_size=row.B, shuffle=False, verbose=0)
        return ours(row, jax.block_until_ready([v.value for v in model.trainable_variables]))

    return run


def loss_and_gradients(
    row: Row, params: Params, x: np.ndarray, y: np.ndarray
) -> tuple[float, Params]:
    """Return the mean loss and its gradients."""
    model = network(row, params)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    fixed = [v.value for v in model.non_trainable_variables]

    def mean(values: list[Array]) -> Array:
        return loss(jnp.asarray(y), model.stateless_call(values, fixed, jnp.asarray(x))[0])

    value, found = jax.value_and_grad(mean)([v.value for v in model.trainable_variables])
    return float(value), ours(row, found)
