"""Layers as plain scans of JAX, and all that they and rnn_fast's compute."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def tanh(ax, ah, own, h):
    return (jnp.tanh(ax + ah),)


def gru(ax, ah, own, h):
    (xr, xz, xn), (hr, hz, hn) = jnp.split(ax, 3, -1), jnp.split(ah, 3, -1)
    r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
    return ((1 - z) * jnp.tanh(xn + r * (hn + own["bhn"])) + z * h,)


def lstm(ax, ah, own, h, c):
    i, f, g, o = jnp.split(ax + ah, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


CELLS = {"tanh": tanh, "gru": gru, "lstm": lstm}


def one_run(cell, own, x, state, inside, reverse):
    """Return the outputs (N, T, H) of one layer in one direction, and the final state."""

    def step(state, step):
        x, inside = step
        ax, ah = x @ own["Wxh"].T + own["bh"], state[0] @ own["Whh"].T
        new = CELLS[cell](ax, ah, own, *state)
        state = tuple(jnp.where(inside, a, b) for a, b in zip(new, state, strict=True))
        return state, jnp.where(inside, state[0], 0)

    steps = x.swapaxes(0, 1), inside.T[:, :, None]
    final, outputs = jax.lax.scan(step, state, steps, reverse=reverse)
    return outputs.swapaxes(0, 1), final


def scanned(layer, params, x, states, lengths):
    """Return the outputs of layers, and their final states."""
    inside = jnp.arange(x.shape[1]) < lengths[:, None]
    finals, D = [], 1 + layer.bidirectional
    for k in range(layer.num_layers):
        outputs = []
        for reverse in range(D):
            ending = (f"_l{k}" if k else "") + ("_reverse" if reverse else "")
            kinds = {name.partition("_")[0] for name in params}
            own = {kind: params[kind + ending] for kind in kinds}
            state = tuple(part[k * D + reverse] for part in states)
            output, final = one_run(layer.cell, own, x, state, inside, bool(reverse))
            outputs.append(output)
            finals.append(final)
        x = jnp.concatenate(outputs, -1)
    return x, tuple(map(jnp.stack, zip(*finals, strict=True)))


def ours(layer, params, x, states, lengths):
    """Return the same of a layer of rnn_fast."""
    is_pair = len(states) > 1
    outputs, final = layer(params, x, states if is_pair else states[0], lengths)
    return outputs, final if is_pair else (final,)


def drawn(layer, N, T, seed=0):
    """Draw parameters, x, initial states and lengths, in float64."""
    rng = np.random.default_rng(seed)
    params = {
        name: jnp.array(rng.normal(0, 0.5, value.shape))
        for name, value in layer.init(jax.random.key(0), "float64").items()
    }
    runs = layer.num_layers * (1 + layer.bidirectional)
    n_states = 2 if layer.cell == "lstm" else 1
    states = tuple(
        jnp.array(rng.normal(size=(runs, N, layer.hidden_size))) for _ in range(n_states)
    )
    x = jnp.array(rng.normal(size=(N, T, layer.input_size)))
    return params, x, states, jnp.array(rng.integers(1, T + 1, N))


def with_gradients(function, layer, params, x, states, lengths):
    """Return results, and gradients of a random function of them with respect to all numbers."""

    def loss(params, x, states):
        results = function(layer, params, x, states, lengths)
        rng = np.random.default_rng(1)
        terms = jax.tree.map(lambda r: (r * rng.normal(size=r.shape)).sum(), results)
        return sum(jax.tree.leaves(terms)), results

    both = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))
    (_, results), gradients = both(params, x, states)
    return results, gradients


def same(a, b, tolerance=1e-12):
    """Check that two trees of arrays are alike."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert p.dtype == q.dtype
        np.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance)


def check(layer, N=11, T=6, seed=0):
    """Check that a layer computes what the scan does, with all gradients."""
    inputs = drawn(layer, N, T, seed)
    same(with_gradients(ours, layer, *inputs), with_gradients(scanned, layer, *inputs))
