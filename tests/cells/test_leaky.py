"""The leaky units: every form in both drivers against the oracle, and the model class."""

from __future__ import annotations

import copy
from itertools import product

import numpy as np
import pytest
from cases import DRIVERS, Case, assert_as_oracle
from reference import LEAKY

from rnn_fast import LeakyRNN, load
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")
#: every line of the kernels, in few programs
FEW = (
    ("rate_learned_tanh", "units"),
    ("rate_fixed_relu", "batch"),
    ("membrane_learned_relu", "batch"),
)
CASES = [
    pair if pair in FEW else pytest.param(*pair, marks=pytest.mark.sweep)
    for pair in product(LEAKY, DRIVERS)
]


@pytest.mark.parametrize(("cell", "driver"), CASES)
def test_gradients_equal_the_oracle(cell, driver):
    """Layers, directions, lengths, states given and learned, weights, every loss."""
    with tuned(**DRIVERS[driver]):
        for seed in range(50):
            assert_as_oracle(Case(seed, cell), 1e-12)


def by_hand(m, X):
    """Outputs and final states, step by step as in the docstring."""
    f = np.tanh if m.nonlinearity == "tanh" else lambda a: np.maximum(a, 0)
    alpha = 1 / (1 + np.exp(-m.leak)) if m.learn_alpha else m.alpha
    h = c = np.zeros((len(X), m.hidden_size))
    for x in X.swapaxes(0, 1):
        a = x @ m.Wxh.T + h @ m.Whh.T + m.bh
        if m.form == "rate":
            h = (1 - alpha) * h + alpha * f(a)
        else:
            c = (1 - alpha) * c + alpha * a
            h = f(c)
    return (h @ m.Why.T + m.by)[:, 0], h, c


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 0.05},
        {"alpha": 0.4, "form": "membrane", "learn_alpha": True, "nonlinearity": "relu"},
    ],
    ids=str,
)
def test_the_model_computes_its_docstring(options, tmp_path):
    m = LeakyRNN(2, 7, loss="mse", dtype="float64", seed=0, **options)
    X = np.random.default_rng(0).standard_normal((3, 6, 2))
    y, state = m.predict(X, return_state=True)
    wanted, h, c = by_hand(m, X)
    np.testing.assert_allclose(y, wanted, rtol=1e-12)
    if m.form == "membrane":
        np.testing.assert_allclose(state[1][0], c, rtol=1e-12)
        state = state[0]
    np.testing.assert_allclose(state[0], h, rtol=1e-12)
    m.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert repr(again) == repr(m) and again.alpha == options["alpha"]
    np.testing.assert_array_equal(copy.deepcopy(again).predict(X), y)


def test_a_learned_alpha_starts_where_it_is_told():
    m = LeakyRNN(2, 4, alpha=0.3, learn_alpha=True, num_layers=2, dtype="float64")
    for name in ("leak", "leak_l1"):
        np.testing.assert_allclose(1 / (1 + np.exp(-m.parameters[name])), 0.3, rtol=1e-12)
    assert "leak" not in LeakyRNN(2, 4).parameters


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": 0}, ValueError, "alpha must be above 0"),
        ({"alpha": 1.5}, ValueError, "alpha must be at most 1; got 1.5"),
        ({"alpha": 1, "learn_alpha": True}, ValueError, "alpha must be below 1 if it is learned"),
        ({"alpha": "fast"}, TypeError, "alpha must be a real number"),
        ({"form": "spiking"}, ValueError, "form must be one of 'rate', 'membrane'"),
        ({"nonlinearity": "sin"}, ValueError, "nonlinearity must be one of"),
    ],
    ids=str,
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=f"^{message}"):
        LeakyRNN(2, 4, **options)


def test_pytorch_has_no_such_layer():
    with pytest.raises(ValueError, match="PyTorch has no layer that computes as LeakyRNN"):
        LeakyRNN(2, 4).to_torch()
