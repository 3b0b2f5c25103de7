"""A loss that only its own file names trains, evaluates and predicts as the built-in ones."""

from __future__ import annotations

import log_cosh
import numpy as np
import pytest

from rnn_fast import GRU, SimpleRNN
from rnn_fast.losses import LOSSES

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((23, 5, 2)), 2 * RNG.standard_normal((23, 3))


def model(kind=GRU, **options):
    return kind(2, 7, 3, loss=log_cosh.LOSS.name, dtype="f8", seed=0, **options)


def test_the_reported_loss_is_the_formulas():
    m = model()
    loss, _ = m.loss_and_gradients(X, Y)
    wanted = np.log(np.cosh(m.predict(X) - Y)).mean()
    assert loss == pytest.approx(wanted, rel=1e-12)
    assert m.evaluate(X, Y)["loss"] == pytest.approx(wanted, rel=1e-12)


def test_the_gradient_is_that_of_the_loss():
    m, step = model(), 1e-6
    _, gradients = m.loss_and_gradients(X, Y)
    for name, gradient in gradients.items():
        at = tuple(RNG.integers(n) for n in gradient.shape)
        value, found = m.parameters[name][at], []
        for sign in (1, -1):
            m.parameters[name][at] = value + sign * step
            found.append(m.loss_and_gradients(X, Y)[0])
        m.parameters[name][at] = value
        assert gradient[at] == pytest.approx((found[0] - found[1]) / (2 * step), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("kind", "batch_size"), [(GRU, 8), (SimpleRNN, 1)])
def test_it_trains(kind, batch_size):
    m = model(kind)
    before = m.evaluate(X, Y)["loss"]
    h = m.fit(X, Y, epochs=30, batch_size=batch_size, learning_rate=0.1, verbose=False)
    assert m.evaluate(X, Y)["loss"] < 0.9 * before
    assert h.mse is not None and h.accuracy is None


def test_other_losses_are_as_before():
    """A program that holds one loss more computes the same bits."""
    m = GRU(2, 7, 3, loss="mse", dtype="f8", seed=0)
    with_it = m.loss_and_gradients(X, Y)
    del LOSSES[log_cosh.LOSS.name]
    try:
        without = m.loss_and_gradients(X, Y)
    finally:
        LOSSES.add(log_cosh.LOSS)
    assert with_it[0] == without[0]
    for name, gradient in without[1].items():
        np.testing.assert_array_equal(with_it[1][name], gradient)
