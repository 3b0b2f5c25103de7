"""Targets that are missing: NaN, or masked by output.  Each number that counts is one term."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU
from rnn_fast.losses.measures import Spread

pytestmark = pytest.mark.usefixtures("one_tile")
RNG = np.random.default_rng(0)
N, T, O = 11, 6, 3
X = RNG.standard_normal((N, T, 2))
LENGTHS = RNG.integers(1, T + 1, N)
INSIDE = np.arange(T) < LENGTHS[:, None]
Y = RNG.standard_normal((N, T, O)) + 2
THERE = RNG.random((N, T, O)) < 0.5
THERE[2] = False  # a sequence, and an output, of which nothing is there
THERE[:, :, 1] = False
HOLED = np.where(THERE, Y, np.nan)
COUNTS = THERE & INSIDE[:, :, None]


def model(**options):
    return GRU(
        2, 5, O, **{"loss": "mse", "return_sequences": True, "dtype": "f8", **options}, seed=0
    )


def same(one, other, tolerance=0.0):
    assert one[0] == pytest.approx(other[0], rel=tolerance, abs=0)
    for name, gradient in one[1].items():
        np.testing.assert_allclose(gradient, other[1][name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("weighted", [False, True])
def test_each_number_that_counts_is_a_term(weighted):
    """As if the others were predicted without an error, times all terms over those that count."""
    m = model()
    w = RNG.random((N, T)) + 0.1 if weighted else np.ones((N, T))
    data = {"lengths": LENGTHS, "sample_weight": w if weighted else None}
    found = m.loss_and_gradients(X, HOLED, missing="nan", **data)
    z = m.predict(X, lengths=LENGTHS)
    terms = (w[..., None] * COUNTS).sum()
    errors = np.where(COUNTS, (z - Y) ** 2, 0) * w[..., None]
    assert found[0] == pytest.approx(errors.sum() / terms, rel=1e-13)
    _, filled = m.loss_and_gradients(X, np.where(THERE, Y, z), **data)
    factor = (w * INSIDE).sum() * O / terms
    for name, gradient in found[1].items():
        np.testing.assert_allclose(gradient, filled[name] * factor, rtol=1e-10, atol=1e-13)
    same(found, m.loss_and_gradients(X, Y, mask=THERE, **data))
    measured = m.evaluate(X, HOLED, missing="nan", **data)
    assert measured["loss"] == measured["mse"] == pytest.approx(found[0], rel=1e-13)
    each = COUNTS * w[..., None]
    mean = (each * Y).sum((0, 1)) / np.where(each.any((0, 1)), each.sum((0, 1)), 1)
    r2 = 1 - errors.sum() / (each * (Y - mean) ** 2).sum()
    assert measured["r2"] == pytest.approx(r2, rel=1e-12)


def test_nothing_missing_is_as_ever():
    m, data = model(), {"lengths": LENGTHS}
    whole = m.loss_and_gradients(X, Y, **data)
    same(m.loss_and_gradients(X, Y, missing="nan", **data), whole)
    same(m.loss_and_gradients(X, Y, mask=np.ones(Y.shape, bool), **data), whole, 1e-13)


def test_whole_steps_are_a_mask_of_steps():
    m, steps = model(), THERE[:, :, 0] | (np.arange(T) == 0)
    masked = m.loss_and_gradients(X, Y, mask=steps)
    same(m.loss_and_gradients(X, np.where(steps[..., None], Y, np.nan), missing="nan"), masked)
    same(m.loss_and_gradients(X, Y, mask=np.repeat(steps[..., None], O, 2)), masked)
    parts = {"X": [*X], "y": [*np.where(steps[..., None], Y, np.nan)]}
    same(m.loss_and_gradients(**parts, missing="nan"), masked, 1e-13)


def test_accuracy_is_of_the_labels_that_count():
    m, labels = model(loss="bce"), (Y > 2).astype(float)
    right = ((m.decision_function(X) > 0) == labels) | ~THERE
    share = THERE.mean(2)
    found = m.evaluate(X, np.where(THERE, labels, np.nan), missing="nan")
    assert found["accuracy"] == pytest.approx((right.all(2) * share).sum() / share.sum(), rel=1e-12)


def test_a_missing_class_is_a_masked_step():
    m, classes = model(loss="cross_entropy"), RNG.integers(0, O, (N, T))
    there = THERE[:, :, 0]
    masked = m.loss_and_gradients(X, classes, mask=there, class_weight="balanced")
    holed = np.where(there, classes, np.nan)
    same(m.loss_and_gradients(X, holed, missing="nan", class_weight="balanced"), masked)


def test_it_trains_with_any_number_of_threads():
    """Training, its measures, validation data and updates; one output for each sequence."""
    y, rows = HOLED[:, 0], THERE[:, 0].any(1)
    data = {"missing": "nan", "validation_data": (X, y)}
    few, many, stream = (model(return_sequences=False) for _ in range(3))
    options = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": False}
    history = few.fit(X, y, **data, **options, n_threads=1)
    again = many.fit(X, y, **data, **options, n_threads=2)
    assert history.val_loss[-1] == few.evaluate(X, y, missing="nan")["loss"]
    stream.fit_stream([(X, y)], epochs=2, batch_size=4, verbose=False, missing="nan")
    for name, p in few.parameters.items():
        np.testing.assert_array_equal(many.parameters[name], p)
        np.testing.assert_array_equal(stream.parameters[name], p)
    assert again.r2 == history.r2 and np.isfinite(history.r2).all()
    at, loss = few.parameters["by"].copy(), few.partial_fit(X, y, missing="nan", learning_rate=0.1)
    assert loss == pytest.approx(history.val_loss[-1]) and rows.any()
    gradient = (few.parameters["by"] - at) / -0.1
    assert gradient[1] == 0 and (gradient[[0, 2]] != 0).all()


def test_what_is_refused():
    m = model()
    for arguments, error, message in [
        ({"y": HOLED}, ValueError, r"y\[0, \d, \d\] = nan is not finite"),
        ({"y": HOLED, "missing": "NaN"}, ValueError, "missing must be one of 'nan'"),
        (
            {"y": np.full(Y.shape, np.nan), "missing": "nan"},
            ValueError,
            "y must have a target that",
        ),
        ({"y": np.where(THERE, np.inf, np.nan), "missing": "nan"}, ValueError, "inf is not finite"),
        ({"y": Y, "mask": THERE[:, :, :2]}, ValueError, r"mask must have shape \(11, 6, 3\)"),
        ({"y": Y, "mask": THERE * 1.0}, TypeError, "mask must hold bool"),
    ]:
        with pytest.raises(error, match=message):
            m.loss_and_gradients(X, **arguments)
    m = model(return_sequences=False)
    with pytest.raises(ValueError, match=r"mask must have shape \(11, 3\), as y; got \(11, 6\)"):
        m.evaluate(X, Y[:, 0], mask=INSIDE)


def test_spreads_of_parts():
    """Weights by output add up as those of all outputs do."""
    y, w = HOLED.reshape(-1, O), RNG.random(N * T) + 0.1
    shares = (~np.isnan(y)).mean(1) * w
    whole = Spread.of(y, shares, True)
    parts = [Spread.of(y[i : i + 9], shares[i : i + 9], True) for i in range(0, len(y), 9)]
    summed = sum(parts, Spread())
    np.testing.assert_allclose(summed.weight, (~np.isnan(y) * w[:, None]).sum(0), rtol=1e-12)
    np.testing.assert_allclose(summed.squares, whole.squares, rtol=1e-12)
    again = Spread(*summed.record())
    assert again.r2(0.5) == summed.r2(0.5) == pytest.approx(whole.r2(0.5))


def test_a_checkpoint_keeps_the_spread_of_outputs(tmp_path):
    options = {"missing": "nan", "batch_size": 4, "verbose": False, "lengths": LENGTHS}
    path, (whole, parts) = tmp_path / "checkpoint", (model() for _ in range(2))
    history = whole.fit(X, HOLED, epochs=3, **options)
    parts.fit(X, HOLED, epochs=2, checkpoint=path, **options)
    again = parts.fit(X, HOLED, epochs=3, checkpoint=path, resume=True, **options)
    assert again.r2 == history.r2 and again.loss == history.loss
