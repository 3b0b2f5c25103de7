"""A loss that only its own file names trains, evaluates and predicts as the built-in ones."""

from __future__ import annotations

import log_cosh
import numpy as np
import pytest
from registered import registered

from rnn_fast import GRU, SimpleRNN
from rnn_fast.engine.operations import BATCH_EPOCH
from rnn_fast.losses import LOSSES

registration = registered(LOSSES, log_cosh.LOSS)
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((23, 5, 2)), 2 * RNG.standard_normal((23, 3))


def model(kind=GRU, **options):
    return kind(2, 7, 3, **{"loss": log_cosh.LOSS.name, "dtype": "f8", "seed": 0, **options})


def test_the_reported_loss_is_the_formulas():
    m = model()
    loss, _ = m.loss_and_gradients(X, Y)
    wanted = np.log(np.cosh(m.predict(X) - Y)).mean()
    assert loss == pytest.approx(wanted, rel=1e-12)
    assert m.evaluate(X, Y)["loss"] == pytest.approx(wanted, rel=1e-12)


def test_the_gradient_is_that_of_the_loss():
    """Of every step, of sequences of different lengths, weighted."""
    m, step = model(return_sequences=True), 1e-6
    data = {
        "y": 2 * RNG.standard_normal((23, 5, 3)),
        "lengths": RNG.integers(1, 6, 23),
        "sample_weight": RNG.random(23),
    }
    _, gradients = m.loss_and_gradients(X, **data)
    for name, gradient in gradients.items():
        at = tuple(RNG.integers(n) for n in gradient.shape)
        value, found = m.parameters[name][at], []
        for sign in (1, -1):
            m.parameters[name][at] = value + sign * step
            found.append(m.loss_and_gradients(X, **data)[0])
        m.parameters[name][at] = value
        assert gradient[at] == pytest.approx((found[0] - found[1]) / (2 * step), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("kind", "batch_size", "dtype"), [(GRU, 8, "f4"), (SimpleRNN, 1, "f8")])
def test_it_trains(kind, batch_size, dtype):
    m = model(kind, dtype=dtype)
    before = m.evaluate(X, Y)["loss"]
    h = m.fit(X, Y, epochs=30, batch_size=batch_size, learning_rate=0.1, verbose=False)
    assert m.evaluate(X, Y)["loss"] < 0.9 * before
    assert h.mse is not None and h.accuracy is None


def test_it_learns_from_one_sequence():
    m, same = (model(SimpleRNN, learning_rate=0.1) for _ in range(2))
    _, gradients = same.loss_and_gradients(X[:1], Y[:1])
    np.testing.assert_allclose(m.forward(X[0]), same.predict(X[:1])[0], rtol=0, atol=1e-14)
    m.backward(Y[0])
    for name, p in same.parameters.items():
        np.testing.assert_allclose(m.parameters[name], p - 0.1 * gradients[name], atol=1e-14)


def test_other_losses_share_the_programs_that_call_it():
    for loss in (log_cosh.LOSS.name, "mse"):
        model(loss=loss).loss_and_gradients(X, Y)
    found = [kind for kind in BATCH_EPOCH.loaded if "gru" in kind]
    assert len(found) == len(set(found)) > 0
