"""Held-out data with masks, weights and states: measured as `evaluate` measures them."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5, 2))
Y = RNG.integers(0, 3, (40, 5))
HELD_X, HELD_Y = RNG.standard_normal((12, 5, 2)), RNG.integers(0, 3, (12, 5))
CASES = {
    "mask": {"mask": RNG.random((12, 5)) < 0.6},
    "sample_weight": {"sample_weight": RNG.random((12, 5))},
    "class_weight": {"class_weight": {0: 3.0, 2: 0.0}},
    "balanced": {"class_weight": "balanced", "lengths": RNG.integers(1, 6, 12)},
    "initial_state": {"initial_state": RNG.standard_normal((1, 12, 4))},
}
CASES["all"] = {name: value for case in CASES.values() for name, value in case.items()}


def model():
    return GRU(2, 4, 3, seed=0, loss="cross_entropy", return_sequences=True, dtype="f8")


@pytest.mark.parametrize("case", CASES)
def test_a_dict_is_measured_as_evaluate_does(case):
    data = CASES[case]
    m, plain, found = model(), model(), []
    h = m.fit(
        X,
        Y,
        epochs=2,
        validation_data={"X": HELD_X, "y": HELD_Y, **data},
        callbacks=[lambda m, h: found.append(m.evaluate(HELD_X, HELD_Y, **data))],
    )
    assert h.val_loss == [each["loss"] for each in found]
    assert h.val_accuracy == [each["accuracy"] for each in found]
    bare = plain.fit(X, Y, epochs=2, validation_data=(HELD_X, HELD_Y))
    assert bare.loss == h.loss and bare.val_loss != h.val_loss


def test_weights_are_those_of_the_textbook():
    m, data = model(), CASES["all"]
    logits = m.decision_function(
        HELD_X, lengths=data["lengths"], initial_state=data["initial_state"]
    )
    counts = data["mask"] & (np.arange(5) < data["lengths"][:, None])
    n = np.bincount(HELD_Y[counts], minlength=3)
    weights = counts * data["sample_weight"] * (counts.sum() / (3 * n))[HELD_Y]
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    losses = -np.log(np.take_along_axis(p, HELD_Y[:, :, None], -1)[..., 0])
    found = m.evaluate(HELD_X, HELD_Y, **data)
    assert found["loss"] == pytest.approx(np.average(losses, weights=weights), rel=1e-12)
    right = logits.argmax(-1) == HELD_Y
    assert found["accuracy"] == pytest.approx(np.average(right, weights=weights), rel=1e-12)


def test_a_stream_has_them_too():
    held_out = {"X": HELD_X, "y": HELD_Y, **CASES["all"]}
    one, two = model(), model()
    wanted = one.fit(X, Y, epochs=2, shuffle=False, batch_size=8, validation_data=held_out)
    items = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 40, 8)]
    assert two.fit_stream(items, epochs=2, validation_data=held_out).val_loss == wanted.val_loss


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": None}, TypeError, "validation X must hold"),
        ({"y": None}, TypeError, "validation y must be the targets"),
        ({"mask": HELD_Y}, TypeError, "validation mask must hold bool"),
        ({"sample_weight": RNG.random(11)}, ValueError, r"validation sample_weight must have"),
        ({"class_weight": {3: 1.0}}, ValueError, r"validation class_weight\[3\] is none"),
        ({"lengths": np.zeros(12, int)}, ValueError, r"validation lengths\[0\] = 0 is not"),
        ({"initial_state": 0.0}, ValueError, "validation initial_state must have shape"),
        ({"weights": 1.0}, ValueError, "validation_data has 'weights', but its names must be of X"),
    ],
)
def test_what_is_refused_before_any_work(change, error, message):
    m = model()
    before, drawn = m._flat.copy(), str(m._generator.bit_generator.state)
    with pytest.raises(error, match=f"^{message}"):
        m.fit(X, Y, validation_data={"X": HELD_X, "y": HELD_Y, **change})
    np.testing.assert_array_equal(m._flat, before)
    assert str(m._generator.bit_generator.state) == drawn


def test_a_dict_without_targets():
    with pytest.raises(ValueError, match="^validation_data has no 'y'"):
        model().fit(X, Y, validation_data={"X": HELD_X})
