"""A callback sets the learning rate of the training that runs."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import DivergedError, ReduceOnPlateau, SimpleRNN, load

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 5, 2))
Y = X.sum((1, 2))


def model(**options):
    return SimpleRNN(2, 4, **{"seed": 0, "loss": "mse", "dtype": "f8", **options})


def halve(model, history):
    model.learning_rate /= 2


@pytest.mark.parametrize("given", [{}, {"learning_rate": 0.08}])
def test_it_takes_effect_from_the_next_epoch(given):
    one, two = model(learning_rate=0.02), model()
    first = given.get("learning_rate", 0.02)
    h = one.fit(X, Y, epochs=3, shuffle=False, callbacks=[halve], **given)
    assert h.learning_rate == [first, first / 2, first / 4]
    assert one.learning_rate == 0.02  # as before: the same call gives the same again
    for rate in h.learning_rate:
        two.fit(X, Y, epochs=1, shuffle=False, learning_rate=rate)
    np.testing.assert_array_equal(one.Whh, two.Whh)


def test_a_callback_reads_the_rate_of_the_training():
    seen = []
    m = model(learning_rate=0.02)
    watch = lambda m, h: seen.append(m.learning_rate)  # noqa: E731
    m.fit(X, Y, epochs=2, learning_rate=0.08, schedule="exponential", callbacks=[watch])
    m.fit(X, Y, epochs=1, callbacks=[watch])
    assert seen == [0.08, 0.08, 0.02]


@pytest.mark.parametrize(
    "schedule", ["exponential", "cosine", lambda epoch: 0.5**epoch, ReduceOnPlateau(0.5, 0, 0.9)]
)
def test_the_factor_of_a_schedule_multiplies_it(schedule):
    settings = {"epochs": 4, "learning_rate": 0.01, "schedule": schedule}
    wanted = model().fit(X, Y, **settings).learning_rate
    found = model().fit(X, Y, callbacks=[halve], **settings).learning_rate
    np.testing.assert_allclose(found, np.array(wanted) / [1, 2, 4, 8], rtol=1e-12)


def test_a_stream_has_it_too():
    h = model().fit_stream([(X, Y)], epochs=2, learning_rate=0.08, callbacks=[halve])
    assert h.learning_rate == [0.08, 0.04]


@pytest.mark.parametrize("given", [{}, {"learning_rate": 0.08}])
@pytest.mark.parametrize("order", [1, -1])
def test_a_resumed_training_goes_on_with_it(given, order, tmp_path):
    """Also by the same model, and where the interrupt came after the rate was set, or before."""
    settings = {"epochs": 6, "schedule": "exponential", **given}
    whole = model()
    wanted = whole.fit(X, Y, callbacks=[halve], **settings)
    settings["checkpoint"] = tmp_path / "c"

    def interrupt(model, history):
        if len(history) == 3:
            raise KeyboardInterrupt

    m = model()
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, callbacks=[halve, interrupt][::order], **settings)
    assert m.learning_rate == load(tmp_path / "c").learning_rate == 0.01
    for again in (model(), m, load(tmp_path / "c")):
        copy = tmp_path / "copy"
        copy.write_bytes((tmp_path / "c").read_bytes())
        again._generator = model()._generator
        own = {**settings, "checkpoint": copy, "resume": True}
        found = again.fit(X, Y, callbacks=[halve], **own)
        assert found.learning_rate == wanted.learning_rate and found.loss == wanted.loss
        np.testing.assert_array_equal(again.Whh, whole.Whh)
        assert again.learning_rate == 0.01


def test_a_training_within_a_callback_has_a_rate_of_its_own():
    def inner(m, history):
        m.fit(X, Y, epochs=1, learning_rate=0.0)
        assert m.learning_rate == 0.08

    assert model().fit(X, Y, epochs=2, learning_rate=0.08, callbacks=[inner]).learning_rate == [
        0.08,
        0.08,
    ]


def test_a_wrong_rate_is_refused_in_the_callback():
    m = model()
    with pytest.raises(ValueError, match="^learning_rate must be finite and not negative; got nan"):
        m.fit(X, Y, callbacks=[lambda m, h: setattr(m, "learning_rate", np.nan)])
    assert m.learning_rate == 0.01


def test_a_divergence_names_the_rate_that_was_set():
    m = model()
    with pytest.raises(DivergedError, match=r"rate smaller than 1e\+250 may help"):
        m.fit(X, Y, callbacks=[lambda m, h: setattr(m, "learning_rate", 1e250)])
    assert m.learning_rate == 0.01
