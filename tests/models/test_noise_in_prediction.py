"""Noise that a prediction is asked for: its law, its seed, the same bits in any company."""

from __future__ import annotations

import numpy as np
import pytest
from cases import DRIVERS
from common import assert_same_bits

from rnn_fast import GRU, SimpleRNN, Stack
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 20, 3))
LENGTHS = RNG.integers(1, 21, 40)


def model(**options):
    options = {"recurrent_noise": 0.3, "return_sequences": True, **options}
    return SimpleRNN(3, 8, loss="mse", seed=0, **options)


def drawn(m, h):
    """The noise of the pre-activations (N, T, H) that states of one layer have had, over 0.3."""
    before = np.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    return (np.arctanh(h.astype(float)) - X @ m.Wxh.T - before @ m.Whh.T - m.bh) / 0.3


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_noise_is_normal_and_independent(driver):
    m = model()
    with tuned(predict_steps=8, **DRIVERS[driver]):
        z = drawn(m, m.states(X, layer=0, noise_seed=1))
        apart = drawn(m, m.states(X, layer=0, noise_seed=2))
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n) and abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    others = [np.roll(z, 1, axis) for axis in range(3)]  # of other sequences, steps, units
    others += [np.roll(z, 8, 1), apart]  # of other windows, and of another seed
    for other in others:
        assert abs((z * other).mean()) < 4 / np.sqrt(n)


@pytest.mark.parametrize("kind", ["recurrent_noise", "input_noise"])
def test_the_variance_is_as_in_theory(kind):
    """A unit near 0 is linear: a process whose variance is known at every step."""
    m = SimpleRNN(1, 1, loss="mse", seed=0, **{kind: 0.01})
    m.Wxh, m.Whh, m.bh = [[0.5]], [[0.8]], [0.0]
    h = m.states(np.zeros((4000, 10, 1)), layer=0, noise_seed=0)[:, :, 0]
    variance = (0.01 * (0.5 if kind == "input_noise" else 1.0)) ** 2
    wanted = variance * np.cumsum(0.8 ** (2 * np.arange(10)))
    np.testing.assert_allclose(h.var(axis=0), wanted, rtol=4 * np.sqrt(2 / 4000))


@pytest.mark.parametrize("both", [False, True])
def test_the_same_bits_in_any_company(both):
    """They depend on the seed and on the place in X, not on threads, lengths, others, driver."""
    m = model(input_noise=0.1, bidirectional=both, num_layers=2)

    def states(n, lengths=LENGTHS, **options):
        return m.states(X[:n], lengths=lengths[:n], noise_seed=5, layer=-1, **options)

    with tuned(predict_steps=8):
        whole = states(40)
        for n in (3, 17):
            np.testing.assert_array_equal(states(n), whole[:n])
        with tuned(worth_seconds=0.0):
            np.testing.assert_array_equal(states(40, n_threads=2), whole)
        longer = np.where(np.arange(40) < 9, LENGTHS, 20)
        np.testing.assert_array_equal(states(40, longer)[:9], whole[:9])
    listed = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
    with tuned(predict_steps=8):
        found = m.states(listed, noise_seed=5, layer=-1)
    assert_same_bits(found, [h[:n] for h, n in zip(whole, LENGTHS, strict=True)])


def test_off_unless_asked_for():
    noisy, quiet = model(), model(recurrent_noise=0.0)
    silent = noisy.predict(X)
    np.testing.assert_array_equal(silent, quiet.predict(X))
    before = noisy._generator.bit_generator.state
    heard = noisy.predict(X, noise_seed=1)
    assert noisy._generator.bit_generator.state == before
    assert np.abs(heard - silent).max() > 0.1
    h = noisy.states(X, layer=0, noise_seed=1)
    np.testing.assert_allclose(heard, h @ noisy.Why[0] + noisy.by, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(noisy.predict(X[:2]), silent[:2])  # by the prepared call
    np.testing.assert_array_equal(noisy.predict(X[:2], noise_seed=1), heard[:2])
    np.testing.assert_array_equal(noisy.predict(X[:2]), silent[:2])


def test_measures_with_noise():
    m, y = model(), RNG.standard_normal((40, 20))
    found = m.evaluate(X, y, noise_seed=1)
    assert found["loss"] == pytest.approx(
        np.square(m.predict(X, noise_seed=1) - y).mean(), rel=1e-6
    )
    assert found["loss"] != m.evaluate(X, y)["loss"]


@pytest.mark.parametrize("quiet", [model(recurrent_noise=0.0), GRU(3, 8, dropout=0.5)])
def test_a_model_without_noise(quiet):
    for call in (quiet.predict, quiet.states, lambda X, **o: quiet.evaluate(X, X, **o)):
        with pytest.raises(ValueError, match="^noise_seed is for models with input_noise or recur"):
            call(X, noise_seed=0)


def test_layers_alone_have_no_noise():
    with pytest.raises(ValueError, match="^noise_seed is for models with input_noise or recurrent"):
        Stack("tanh", 3, 8).states(X, noise_seed=0)
