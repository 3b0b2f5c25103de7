"""The penalty of the states: its gradient is that of the term that is reported."""

from __future__ import annotations

import numpy as np
import pytest
from common import assert_same_bits, flat, without_times

from rnn_fast import LSTM
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")

RNG = np.random.default_rng(0)
N, T, H = 43, 7, 5
X = RNG.standard_normal((N, T, 3))
LENGTHS = RNG.integers(1, T + 1, N)
LENGTHS[0] = T
Y = RNG.standard_normal((N, 2))
ACTIVITY = {"activity_l1": 0.3, "activity_l2": 0.7}
#: sequences that the units driver takes, and that the batch driver takes
EACH_DRIVER = pytest.mark.parametrize("n", [3, N])


def model():
    settings = {"num_layers": 2, "bidirectional": True, "dtype": "f8", "seed": 1}
    return LSTM(3, H, 2, loss="mse", **settings)


def penalty(m, n):
    """The term, from the states."""
    h = m.states(X[:n], lengths=LENGTHS[:n])  # 0 in the padding
    return (0.3 * np.abs(h).sum() + 0.35 * (h**2).sum()) / LENGTHS[:n].sum()


def step(m, n, **options):
    """The gradient that one update follows, and the history."""
    before = m._flat.copy()  # in its order
    options = {"lengths": LENGTHS[:n], "batch_size": None, "learning_rate": 1.0, **options}
    h = m.fit(X[:n], Y[:n], epochs=1, verbose=0, **options)
    return before - m._flat, h


@EACH_DRIVER
def test_the_gradient_is_that_of_the_reported_penalty(n):
    m = model()
    plain, h = step(model(), n)
    both, found = step(model(), n, **ACTIVITY)
    assert h.penalty is None and found.loss == h.loss
    assert found.penalty == [pytest.approx(penalty(m, n), rel=1e-12)]
    gradient, eps = both - plain, 1e-6
    for at in RNG.choice(len(gradient), 40, replace=False):
        values = []
        for sign in (1, -1):
            other = model()
            other._flat[at] += sign * eps
            values.append(penalty(other, n))
        slope = (values[0] - values[1]) / (2 * eps)
        assert gradient[at] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_threads_windows_and_a_loss_of_ones_own():
    def loss(outputs, y, weights):
        e = outputs - y
        return (e**2).mean(), 2 * e / e.size

    options = {"lengths": LENGTHS, "batch_size": 40, "epochs": 3, "verbose": 0, **ACTIVITY}
    results = []
    for n_threads, own in ((1, None), (2, None), (1, loss)):
        m = model()
        with tuned(worth_seconds=0.0):
            h = m.fit(X, Y, n_threads=n_threads, loss=own, **options)
        results.append([flat(m), *without_times(h.arrays()).values()])
    assert_same_bits(results[0], results[1])
    for one, two in zip(results[0], results[2], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-13)


def test_partial_fit_has_it_too():
    one, two = model(), model()
    one.partial_fit(X, Y, lengths=LENGTHS, learning_rate=0.1, **ACTIVITY)
    step(two, N, learning_rate=0.1, **ACTIVITY)
    np.testing.assert_allclose(flat(one), flat(two), rtol=1e-13)


@pytest.mark.parametrize("name", ["activity_l1", "activity_l2"])
def test_a_coefficient_must_not_be_negative(name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        model().fit(X, Y, **{name: -0.1})
