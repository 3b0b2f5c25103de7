"""A skip from the input to the output, and dropout before the read-out."""

from __future__ import annotations

import numpy as np
import pytest
from cases import DRIVERS

from rnn_fast import LSTM
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")

RNG = np.random.default_rng(0)
N, T, I, H = 21, 7, 3, 5
X = RNG.standard_normal((N, T, I))
LENGTHS = RNG.integers(1, T + 1, N)
LENGTHS[0] = T
INSIDE = (np.arange(T) < LENGTHS[:, None])[:, :, None]


@pytest.fixture(params=DRIVERS)
def each_driver(request):
    with tuned(**DRIVERS[request.param]):
        yield


def model(O=2, **options):
    settings = {"num_layers": 2, "bidirectional": True, "return_sequences": True, "dtype": "f8"}
    return LSTM(I, H, O, loss="mse", seed=1, **{**settings, **options})


@pytest.mark.usefixtures("each_driver")
def test_a_skip_adds_the_inputs():
    plain, skips = model(), model(skip=True)
    y, data = RNG.standard_normal((N, T, 2)), {"lengths": LENGTHS}
    added = X[:, :, :2]
    np.testing.assert_allclose(
        skips.predict(X, **data), plain.predict(X, **data) + added * INSIDE, atol=1e-15
    )
    loss, gradients = skips.loss_and_gradients(X, y, **data)
    wanted_loss, wanted = plain.loss_and_gradients(X, y - added, **data)
    assert loss == pytest.approx(wanted_loss, rel=1e-14)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, wanted[name], atol=1e-14)


def test_the_gradient_of_the_input_goes_past_the_layers_too():
    doutputs, options = RNG.standard_normal((N, T, 2)), {"lengths": LENGTHS}
    found = [
        m.vjp(X, input_gradients=True, **options)[1](doutputs)["X"]
        for m in (model(), model(skip=True))
    ]
    past = np.concatenate([doutputs * INSIDE, np.zeros((N, T, 1))], -1)
    np.testing.assert_allclose(found[1] - found[0], past, atol=1e-14)
    with pytest.raises(ValueError, match="vjp has them for a model with skip=True"):
        model(skip=True).loss_and_gradients(X, doutputs, input_gradients=True)


def test_a_stream_has_the_skip():
    m = model(skip=True, bidirectional=False)
    whole = m.predict(X[:2])
    stream = m.stream(batch=2)
    np.testing.assert_array_equal(stream.run(X[:2, :4]), whole[:, :4])
    np.testing.assert_array_equal(stream.step(X[:2, 4]), whole[:, 4])


@pytest.mark.parametrize(
    "options",
    [{"O": 4}, {"return_sequences": False}, {"embedding_size": 2}],
)
def test_a_skip_needs_features_of_each_step(options):
    with pytest.raises(ValueError, match="skip adds the first features of a step to its outputs"):
        model(**{"skip": True, **options})


@pytest.mark.parametrize("sequences", [True, False])
def test_dropout_before_the_readout(sequences):
    """With an identity for V, the outputs show the mask; the same numbers in both drivers."""
    seen = []
    for driver in DRIVERS.values():
        m = model(O=2 * H, readout_dropout=0.4, return_sequences=sequences)
        m.Why = np.eye(2 * H)
        with tuned(**driver):
            plain = m.decision_function(X, lengths=LENGTHS)
            outputs, pullback = m.vjp(X, lengths=LENGTHS, training=True)
        with np.errstate(invalid="ignore"):
            factors = np.nan_to_num(outputs / plain)
        kept = factors[INSIDE[:, :, 0]] if sequences else factors
        assert {*np.round(np.unique(kept), 12)} == {0.0, np.round(1 / 0.6, 12)}
        assert 0.3 < (kept == 0).mean() < 0.5
        # as without dropout, from the gradient that the mask lets through
        doutputs = RNG.standard_normal(outputs.shape)
        m_plain = model(O=2 * H, return_sequences=sequences)
        m_plain.Why = np.eye(2 * H)
        wanted = m_plain.vjp(X, lengths=LENGTHS)[1](doutputs * factors)
        found = pullback(doutputs)
        for name in found.keys() - {"Why", "by"}:
            np.testing.assert_allclose(found[name], wanted[name], atol=1e-13)
        inside = INSIDE if sequences else 1.0
        d, z = (a.reshape(-1, 2 * H) for a in (doutputs * inside, plain * factors))
        np.testing.assert_allclose(found["Why"], d.T @ z, atol=1e-12)
        seen.append(factors)
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-12)


def test_fit_drops_and_predictions_do_not():
    y = RNG.standard_normal((N, T, 2))
    losses = []
    for p in (0.0, 0.5):
        m = model(readout_dropout=p)
        before = m.predict(X)
        np.testing.assert_array_equal(before, model().predict(X))
        losses.append(m.fit(X, y, epochs=1, batch_size=None, verbose=0).loss[0])
    assert losses[0] != losses[1]
