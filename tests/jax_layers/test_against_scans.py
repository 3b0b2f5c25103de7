"""Layers for JAX: against plain scans in float64, transformed, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from scans import check, drawn, ours, same  # noqa: E402

import rnn_fast  # noqa: E402
from rnn_fast.jax import Stack  # noqa: E402
from rnn_fast.tuning import tuned  # noqa: E402


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def gru():
    """A GRU with all that it takes: parameters, x, states, lengths."""
    layer = Stack("gru", 3, 5, num_layers=2, bidirectional=True, dropout=0.4)
    return layer, *drawn(layer, 11, 6)


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
def test_all_at_once(cell):
    check(Stack(cell, 3, 5, num_layers=2, bidirectional=True))


def test_one_layer():
    check(Stack("lstm", 3, 5), N=1)
    check(Stack("gru", 1, 1, bidirectional=True), T=1)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(60))
def test_any_options(seed):
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(1, [8, 20])]
    options = {"num_layers": int(rng.integers(1, 4)), "bidirectional": bool(rng.integers(2))}
    layer = Stack(str(rng.choice(["tanh", "gru", "lstm"])), *sizes, **options)
    check(layer, int(rng.integers(1, 24)), int(rng.integers(1, 12)), seed)


def test_defaults(gru):
    layer, params, x, states, _ = gru
    lengths = np.full(11, 6)
    zeros = jax.tree.map(jnp.zeros_like, states)
    same(layer(params, x), layer(params, x, zeros[0], lengths), 0)


def test_compiled_or_not(gru):
    same(jax.jit(ours, static_argnums=0)(*gru), ours(*gru), 0)


def test_states_that_are_not_kept(gru):
    """The backward pass runs forward again where none are kept, or the settings have changed."""
    layer, *numbers, lengths = gru

    def pulled_back():
        return jax.vjp(lambda *numbers: ours(layer, *numbers, lengths), *numbers)

    results, pullback = pulled_back()
    gradients = pullback(results)
    with tuned(pass_bytes=0):
        same(pullback(results), gradients, 0)
        same(pulled_back()[1](results), gradients, 0)


def test_threads(gru):
    layer, *numbers, lengths = gru
    results, pullback = jax.vjp(lambda *numbers: ours(layer, *numbers, lengths), *numbers)
    wanted = pullback(results)
    with ThreadPoolExecutor(4) as threads:
        for gradients in threads.map(pullback, [results] * 20):
            same(gradients, wanted, 0)


def test_it_computes_as_a_stack(gru):
    layer, params, x, _, lengths = gru
    stack = rnn_fast.Stack("gru", 3, 5, num_layers=2, bidirectional=True, dtype="float64")
    assert stack.parameters.keys() == params.keys()
    for name, value in params.items():
        setattr(stack, name, np.asarray(value))
    outputs, _ = stack.vjp(np.asarray(x), lengths=np.asarray(lengths))
    same(layer(params, x, lengths=lengths)[0], outputs, 0)


def test_many_models_and_many_batches(gru):
    layer, params, x, _, _ = gru
    several = jax.tree.map(lambda p: jnp.stack([p, 2 * p]), params)
    batches = jnp.stack([x, -x, x + 1])

    def loss(params, x):
        outputs, state = layer(params, x)
        return (outputs**2).sum() + state.sum()

    each = jax.vmap(jax.grad(loss), (None, 0))
    every = jax.jit(jax.vmap(each, (0, None)))(several, batches)
    one = jax.grad(loss)(jax.tree.map(lambda p: p[1], several), batches[2])
    same(jax.tree.map(lambda gradient: gradient[1, 2], every), one, 1e-14)


def test_dropout(gru):
    layer, params, x, states, lengths = gru

    @jax.jit
    def loss(params, key):
        return (layer(params, x, states[0], lengths, key)[0] ** 2).sum()

    key = jax.random.key(3)
    assert loss(params, key) == loss(params, key) != loss(params, jax.random.key(4))
    assert loss(params, key) != loss(params, None)
    slope = jax.grad(loss)(params, key)
    direction = jax.tree.map(
        lambda p: jnp.array(np.random.default_rng(5).normal(size=p.shape)), params
    )
    plus = loss(jax.tree.map(lambda p, d: p + 1e-6 * d, params, direction), key)
    minus = loss(jax.tree.map(lambda p, d: p - 1e-6 * d, params, direction), key)
    along = sum(jax.tree.leaves(jax.tree.map(lambda g, d: (g * d).sum(), slope, direction)))
    np.testing.assert_allclose((plus - minus) / 2e-6, along, rtol=1e-7)


def test_training():
    """All updates in one compiled loop."""
    layer = Stack("gru", 3, 5)
    x = jax.random.normal(jax.random.key(0), (11, 6, 3), jnp.float64)
    y = x.sum((1, 2)) / 4
    params = {**layer.init(jax.random.key(1), "float64"), "head": jnp.ones(5)}

    def loss(params):
        head = params["head"]
        _, state = layer({k: v for k, v in params.items() if k != "head"}, x)
        return ((state[0] @ head - y) ** 2).mean()

    def update(params, _):
        value, gradients = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.05 * g, params, gradients), value

    _, losses = jax.jit(lambda params: jax.lax.scan(update, params, None, 100))(params)
    assert losses[-1] < 0.2 * losses[0]
    assert (jnp.diff(losses) < 0).all()


def test_initial_parameters():
    layer, keys = Stack("lstm", 3, 5, num_layers=2), jax.random.split(jax.random.key(7), 3)
    params = layer.init(keys[0], "float64")
    many = jax.jit(jax.vmap(lambda key: layer.init(key, "float64")))(keys)
    same(jax.tree.map(lambda p: p[0], many), params, 0)
    assert (many["Whh_l1"][1] != many["Whh_l1"][2]).all()
    np.testing.assert_allclose(params["Whh"][:5] @ params["Whh"][:5].T, np.eye(5), atol=1e-12)
    single = layer.init(keys[0])
    assert single["Wxh"].dtype == "float32"
    np.testing.assert_allclose(single["Wxh"], params["Wxh"], atol=1e-6)
    assert (layer.init(keys[0], initial={"bh": 1.0})["bh_l1"] == 1).all()
    with jax.enable_x64(False), pytest.raises(ValueError, match="float64 needs .* jax_enable_x64"):
        layer.init(keys[0], "float64")


def test_no_further_derivatives(gru):
    layer, params, x, _, _ = gru

    def loss(x):
        return layer(params, x)[0].sum()

    with pytest.raises(NotImplementedError, match="no gradients of gradients"):
        jax.grad(lambda x: (jax.grad(loss)(x) ** 2).sum())(x)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(loss, (x,), (x,))


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"x": np.zeros((11, 6, 4))}, ValueError, r"x must have shape \(N, T, 3\).*\(11, 6, 4\)"),
        ({"x": np.zeros((0, 6, 3))}, ValueError, "none of them 0"),
        ({"x": np.zeros((11, 6, 3), int)}, TypeError, "x must be float32 or float64; got int64"),
        ({"params": {}}, ValueError, "params must be a dict of Wxh, Whh, bh, bhn, .*; got"),
        ({"initial_state": np.zeros((4, 11, 6))}, ValueError, r"initial_state must have .*11, 6\)"),
        ({"lengths": np.full(11, 7)}, ValueError, r"lengths\[0\] = 7 is not in 1 .. 6"),
        ({"lengths": np.full(11, 6.0)}, TypeError, "lengths must be integers; got dtype float64"),
        ({"lengths": np.full(10, 6)}, ValueError, r"lengths must have shape \(11,\)"),
    ],
)
def test_errors(gru, change, error, message):
    layer, params, x, _, _ = gru
    with pytest.raises(error, match=message):
        layer(**{"params": params, "x": x, **change})


def test_errors_of_parameters(gru):
    layer, params, x, _, _ = gru
    with pytest.raises(ValueError, match=r"params\['bh'\] must have shape \(15,\).*; got \(14,\)"):
        layer({**params, "bh": params["bh"][1:]}, x)
    with pytest.raises(ValueError, match="the dtype of x, float32; got .* float64"):
        layer(params, x.astype("float32"))
    with pytest.raises(TypeError, match=r"initial_state must be a pair \(h, c\)"):
        layer = Stack("lstm", 3, 5)
        layer(layer.init(jax.random.key(0), "float64"), x, jnp.zeros((1, 11, 5)))


def test_errors_of_traced_lengths(gru):
    layer, params, x, _, lengths = gru
    compiled = jax.jit(lambda lengths: layer(params, x, lengths=lengths))
    with pytest.raises(ValueError, match=r"lengths must have shape \(11,\)"):
        compiled(lengths[1:])
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"lengths\[2\] = 0 is not in 1 .. 6"):
        jax.block_until_ready(compiled(lengths.at[2].set(0)))


def test_errors_of_options():
    with pytest.raises(ValueError, match="cell must be one of"):
        Stack("grue", 3, 5)
    with pytest.raises(ValueError, match="hidden_size must be at least 1"):
        Stack("gru", 3, 0)
    assert Stack("gru", np.int64(3), 5) == Stack("gru", 3, 5)


ONE_CORE = """
import os
os.sched_setaffinity(0, {next(iter(os.sched_getaffinity(0)))})
import jax, jax.numpy as jnp
from rnn_fast.jax import Stack
layer = Stack("gru", 400, 5)
params = layer.init(jax.random.key(0))
f = jax.jit(jax.grad(lambda x: (layer(params, x)[0] ** 2).sum()))
x = jnp.ones((60, 100, 400))  # larger than what XLA copies at once
for _ in range(8):  # not waited for, nor at the end
    x = f(jnp.sin(x)) + x
"""


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform != "linux", reason="binds the process to a core")
def test_one_core_does_not_wait_for_itself():
    subprocess.run([sys.executable, "-c", ONE_CORE], timeout=120, check=True)
