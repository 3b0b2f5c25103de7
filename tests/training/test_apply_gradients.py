"""Updates from gradients by name."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU, Adam
from rnn_fast.errors import DivergedError

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 5, 3)), RNG.standard_normal(20)
pytestmark = pytest.mark.usefixtures("one_tile")


def model_and_gradients(dtype="f4"):
    model = GRU(3, 7, loss="mse", seed=0, dtype=dtype)
    return model, model.loss_and_gradients(X, Y)[1]


@pytest.mark.parametrize("optimizer", ["sgd", Adam(weight_decay=0.1)])
def test_bits_of_partial_fit(optimizer):
    settings = {"learning_rate": 0.1, "clip_norm": 0.5, "l1": 0.01, "l2": {"Whh": 0.1}}
    other, _ = model_and_gradients()
    model, _ = model_and_gradients()
    for k in range(4):  # the state goes on from one to the other
        if k != 2:
            model.apply_gradients(model.loss_and_gradients(X, Y)[1], optimizer, **settings)
        else:
            model.partial_fit(X, Y, optimizer=optimizer, **settings)
        other.partial_fit(X, Y, optimizer=optimizer, **settings)
    for name, parameter in other.parameters.items():
        np.testing.assert_array_equal(model.parameters[name], parameter)


def test_an_embedding_and_gradients_beside():
    tokens, state = RNG.integers(0, 9, (20, 4)), np.zeros((1, 20, 7))
    a, b = (GRU(9, 7, embedding_size=5, loss="mse", seed=0, dtype="f4") for _ in range(2))
    for _ in range(2):
        _, gradients = a.loss_and_gradients(tokens, Y, initial_state=state)
        a.apply_gradients(gradients)
        a.partial_fit(tokens, Y)
        for _ in range(2):
            b.partial_fit(tokens, Y)
    for name, parameter in b.parameters.items():
        np.testing.assert_allclose(a.parameters[name], parameter, rtol=1e-5, atol=1e-7)


def test_a_frozen_parameter_needs_none():
    model, gradients = model_and_gradients()
    model.constrain("Whh", frozen=True)
    del gradients["Whh"]
    before = model.by.copy()
    model.apply_gradients(gradients)
    assert (model.by != before).all()


def changed(**values):
    return lambda gradients: {**gradients, **values}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (changed(W=0), ValueError, "gradients names W, but the parameters are Wxh, Whh"),
        (lambda g: {}, ValueError, "gradients has none of Wxh, Whh, bh, bhn, Why, by"),
        (lambda g: [], TypeError, "gradients must be a dict of arrays by name"),
        (changed(by=0.0), ValueError, r"gradients\['by'\] must have shape \(1,\)"),
        (changed(by=["1"]), TypeError, r"gradients\['by'\]"),
        (changed(by=[np.nan]), ValueError, r"gradients\['by'\].* is not finite|gradients\['by'\]"),
        (changed(by=np.full(1, np.inf, "f4")), ValueError, r"gradients\['by'\]"),
    ],
)
def test_what_is_refused(change, error, message):
    model, gradients = model_and_gradients()
    before = {name: parameter.copy() for name, parameter in model.parameters.items()}
    with pytest.raises(error, match=f"^{message}"):
        model.apply_gradients(change(gradients))
    for name, value in before.items():
        np.testing.assert_array_equal(model.parameters[name], value)


def test_an_update_beyond_the_numbers_is_undone():
    model, gradients = model_and_gradients()
    before = {name: parameter.copy() for name, parameter in model.parameters.items()}
    gradients["by"][:] = 1e30
    with pytest.raises(DivergedError, match="^apply_gradients diverged"):
        model.apply_gradients(gradients, learning_rate=1e30)
    for name, value in before.items():
        np.testing.assert_array_equal(model.parameters[name], value)
