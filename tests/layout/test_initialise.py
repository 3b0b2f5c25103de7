"""Initial values of parameters by name, and forget biases by times."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, SimpleRNN

H = 6


def gates(model, name="Whh"):
    return np.split(np.asarray(model.parameters[name], float), model._net.gates)


def test_names_of_starts():
    model = GRU(H, H, 2, loss="mse", initial={"Whh": "identity", "Wxh": "orthogonal"}, seed=0)
    for Whh, Wxh in zip(gates(model), gates(model, "Wxh"), strict=True):
        np.testing.assert_array_equal(Whh, np.eye(H))
        np.testing.assert_allclose(Wxh @ Wxh.T, np.eye(H), atol=1e-6)


def test_a_factor():
    model = LSTM(2, H, initial={"Whh": ("gaussian", 1.5)}, dtype="float64", seed=0)
    radii = [np.abs(np.linalg.eigvals(gate)).max() for gate in gates(model)]
    np.testing.assert_allclose(radii, 1.5, rtol=1e-12)
    model = SimpleRNN(2, 400, initial={"Wxh": "gaussian"}, seed=0)
    assert np.std(model.Wxh) == pytest.approx(np.sqrt(1 / 2), rel=0.1)


def test_the_start_of_pytorch():
    initial = dict.fromkeys(("Wxh", "Whh", "bh", "Why", "by"), "uniform")
    model = GRU(3, 50, 40, bidirectional=True, initial=initial, loss="mse", seed=0)
    for name, values in model.parameters.items():
        bound = 1 / np.sqrt(100 if name in ("Why", "by") else 50)
        if name.partition("_")[0] in initial:
            assert 0.9 * bound < np.abs(values).max() <= bound
            assert np.std(values) == pytest.approx(bound / np.sqrt(3), rel=0.2)


def test_numbers_functions_and_single_layers():
    shapes = []

    def sparse(shape, generator):
        shapes.append(shape)
        return generator.standard_normal(shape) * (generator.random(shape) < 0.3)

    initial = {"Whh": sparse, "Whh_l1": "identity", "bh": 0.5}
    model = SimpleRNN(2, H, num_layers=3, initial=initial, seed=0)
    assert shapes == [(H, H)] * 2
    np.testing.assert_array_equal(model.Whh_l1, np.eye(H))
    assert (model.bh_l2 == 0.5).all() and 0 < (model.Whh == 0).mean() < 1
    again = SimpleRNN(2, H, num_layers=3, initial=initial, seed=0)
    np.testing.assert_array_equal(model._flat, again._flat)


def test_without_a_choice_nothing_changes():
    np.testing.assert_array_equal(LSTM(2, H, seed=0)._flat, LSTM(2, H, initial={}, seed=0)._flat)


@pytest.mark.parametrize(
    ("initial", "error", "message"),
    [
        ("identity", TypeError, "initial must be a dict"),
        ({"W": "identity"}, ValueError, "initial names 'W', but the parameters are Wxh, Whh"),
        ({"Whh": "unit"}, ValueError, r"initial\['Whh'\] must be one of 'glorot'"),
        ({"Whh": None}, TypeError, r"initial\['Whh'\] must be one of 'glorot'"),
        ({"Whh": ("identity", np.inf)}, ValueError, r"initial\['Whh'\] must be finite"),
        ({"bh": "identity"}, ValueError, r"initial\['bh'\] must be 'uniform', a number or"),
        ({"bh": True}, TypeError, r"initial\['bh'\] must be a real number"),
        ({"Whh": lambda shape, rng: np.eye(2)}, ValueError, r".* of shape \(6, 6\); got float64"),
        ({"bh": lambda shape, rng: ["a"] * H}, ValueError, ".* must return real numbers"),
        ({"bh": lambda shape, rng: np.full(H, np.nan)}, ValueError, ".* finite in float32"),
        ({"bh": 1e300}, ValueError, ".* finite in float32"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_bad_starts(initial, error, message):
    generator = np.random.default_rng(0)
    state = generator.bit_generator.state
    with pytest.raises(error, match=f"^{message}"):
        SimpleRNN(
            2,
            H,
            initial={"Wxh": 0, "Whh": 0} | initial if isinstance(initial, dict) else initial,
            seed=generator,
        )
    assert generator.bit_generator.state == state


def test_chrono_forget_biases():
    model = LSTM(1, 500, num_layers=2, forget_bias=("chrono", 100), seed=0)
    for name in ("bh", "bh_l1"):
        i, f, g, o = np.split(model.parameters[name], 4)
        np.testing.assert_array_equal(i, -f)
        assert not g.any() and not o.any()
        times = np.exp(np.float64(f))
        assert 1 <= times.min() < 3 and 97 < times.max() <= 99.001
        assert times.mean() == pytest.approx(50, rel=0.1)


@pytest.mark.parametrize(
    ("bias", "error", "message"),
    [
        ("chrono", ValueError, r"forget_bias must be a number, or \('chrono', T\)"),
        (("chrono", 2), ValueError, "T of forget_bias must be above 2; got 2"),
        (("chrono", "long"), TypeError, "T of forget_bias must be a real number"),
        (("slow", 3), ValueError, "forget_bias must be a number, or"),
    ],
)
def test_bad_forget_biases(bias, error, message):
    with pytest.raises(error, match=f"^{message}"):
        LSTM(1, 2, forget_bias=bias)
