"""Targets of several steps ahead and several channels, in the shape that the user has."""

from __future__ import annotations

import numpy as np
import pytest

import rnn_fast
from rnn_fast import GRU

pytestmark = pytest.mark.usefixtures("one_tile")
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((11, 6, 2)), RNG.standard_normal((11, 6, 4, 3))


def models(**options):
    """A model of outputs (4, 3), and the same of 12 outputs."""
    options = {"loss": "mse", "dtype": "f8", "seed": 0, **options}
    return GRU(2, 5, (4, 3), **options), GRU(2, 5, 12, **options)


def test_after_the_last_step(tmp_path):
    ahead, flat = models()
    y = Y[:, 0].copy()
    loss, gradients = ahead.loss_and_gradients(X, y)
    assert loss == flat.loss_and_gradients(X, y.reshape(11, 12))[0]
    assert gradients["Why"].shape == (12, 5)
    np.testing.assert_array_equal(ahead.predict(X), flat.predict(X).reshape(11, 4, 3))
    assert ahead.evaluate(X, y) == flat.evaluate(X, y.reshape(11, 12))
    y[:, 2, 1] = np.nan
    there = ~np.isnan(y)
    missing = ahead.loss_and_gradients(X, y, missing="nan")[0]
    assert missing == ahead.loss_and_gradients(X, y, mask=there)[0]
    assert missing == pytest.approx(((ahead.predict(X) - y)[there] ** 2).mean(), rel=1e-13)
    assert ahead.output_size == (4, 3) and "output_size=(4, 3)" in repr(ahead)
    ahead.save(tmp_path / "model")
    assert rnn_fast.load(tmp_path / "model").output_size == (4, 3)
    with pytest.raises(ValueError, match=r"y must have shape \(11, 4, 3\) .* got \(11, 12\)"):
        ahead.evaluate(X, Y[:, 0].reshape(11, 12))


def test_after_every_step():
    ahead, flat = models(return_sequences=True)
    loss, _ = ahead.loss_and_gradients(X, Y)
    assert loss == flat.loss_and_gradients(X, Y.reshape(11, 6, 12))[0]
    assert ahead.loss_and_gradients([*X], [*Y])[0] == pytest.approx(loss, rel=1e-13)
    np.testing.assert_array_equal(ahead.predict(X), flat.predict(X).reshape(Y.shape))
    lengths = np.arange(11) % 6 + 1
    assert (ahead.predict(X, lengths=lengths)[0, 1:] == 0).all()


def test_with_several_logits_a_value():
    gaussian, _ = models(loss="gaussian")
    means, scales = gaussian.predict_distribution(X)
    assert means.shape == scales.shape == (11, 4, 3) and gaussian.Why.shape == (24, 5)
    np.testing.assert_array_equal(means, gaussian.predict(X))
    quantile, _ = models(loss="quantile", loss_options={"levels": [0.2, 0.8]})
    assert quantile.predict(X).shape == (11, 4, 3, 2)
    e = Y[:, 0, ..., None] - quantile.predict(X)
    wanted = np.maximum(e * [0.2, 0.8], e * [-0.8, -0.2]).mean()
    assert quantile.loss_and_gradients(X, Y[:, 0])[0] == pytest.approx(wanted, rel=1e-13)


def test_classes_have_no_shape():
    with pytest.raises(TypeError, match="output_size for cross_entropy must be an integer"):
        GRU(2, 5, (4, 3), loss="cross_entropy")
    with pytest.raises(ValueError, match=r"output_size for mse\[1\] must be at least 1; got 0"):
        GRU(2, 5, (4, 0), loss="mse")
