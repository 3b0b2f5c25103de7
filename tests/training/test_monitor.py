"""Rules that watch any measure: where they stop, what they restore, what is not there to watch."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import EarlyStopping, ReduceOnPlateau, SimpleRNN
from rnn_fast.losses.loss import LOSSES, SIGNS

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5, 2))
NOISE = RNG.standard_normal(40)
LABELS = (NOISE > 0).astype(int)
HELD = RNG.standard_normal((20, 5, 2)), RNG.standard_normal(20)


def model(loss):
    return SimpleRNN(2, 6, seed=0, loss=loss, dtype="f8")


def data(loss):
    """Training data of noise, and data to hold out."""
    if loss == "mse":
        return (X, NOISE), HELD
    return (X, LABELS), (HELD[0], (HELD[1] > 0).astype(int))


def expected(values, sign, patience, min_delta):
    """Epochs, and the place of the best, by the rule as it is said."""
    best, at = np.inf, None
    for epoch, value in enumerate(sign * np.array(values)):
        if value < best - min_delta:
            best, at = value, epoch
        if epoch - (-1 if at is None else at) == patience:
            return epoch + 1, at
    return len(values), at


CASES = [
    ("bce", "val_accuracy", "auto", -1, 0.02),
    ("bce", "accuracy", "auto", -1, 0.0),
    ("bce", "loss", "auto", 1, 0.01),
    ("bce", None, "max", -1, 0.0),
    ("mse", "val_r2", "auto", -1, 0.01),
    ("mse", "r2", "min", 1, 0.0),
    ("mse", "val_mse", "auto", 1, 0.0),
]


@pytest.mark.parametrize(("loss", "monitor", "mode", "sign", "min_delta"), CASES)
def test_it_stops_where_the_rule_says_and_restores_that_epoch(
    loss, monitor, mode, sign, min_delta, tmp_path
):
    train, held = data(loss)
    settings = {"validation_data": held, "learning_rate": 0.3, "shuffle": False, "batch_size": 5}
    kept = []
    whole = model(loss).fit(
        *train, epochs=60, callbacks=[lambda m, h: kept.append(m.Whh.copy())], **settings
    )
    n, best = expected(getattr(whole, monitor or "val_loss"), sign, 4, min_delta)
    assert n < 60
    rule = EarlyStopping(4, min_delta, monitor=monitor, mode=mode)
    m = model(loss)
    h = m.fit(*train, epochs=60, early_stopping=rule, **settings)
    assert h.loss == whole.loss[:n] and h.val_loss == whole.val_loss[:n]
    np.testing.assert_array_equal(m.Whh, kept[best])
    for stop in (best + 1, n - 1):  # a checkpoint goes on watching
        own = {**settings, "early_stopping": rule, "checkpoint": tmp_path / f"{stop}"}
        model(loss).fit(*train, epochs=stop, **own)
        again = model(loss)
        assert again.fit(*train, epochs=60, resume=True, **own).loss == h.loss
        np.testing.assert_array_equal(again.Whh, m.Whh)


def test_a_schedule_watches_another_measure():
    train, held = data("bce")
    rule = ReduceOnPlateau(0.5, patience=0, threshold=0.0, monitor="val_accuracy")
    h = model("bce").fit(*train, epochs=12, schedule=rule, learning_rate=0.1, validation_data=held)
    better = [True, *(b > max(h.val_accuracy[:i]) for i, b in enumerate(h.val_accuracy[1:], 1))]
    wanted = 0.1 * 0.5 ** np.cumsum([0, *(not each for each in better[:-1])])
    np.testing.assert_allclose(h.learning_rate, wanted, rtol=1e-12)
    assert 0 < sum(better) - 1 < 11


def test_nan_is_never_better():
    m, kept = model("mse"), []
    rule = EarlyStopping(3, monitor="val_r2")
    h = m.fit(
        X,
        NOISE,
        epochs=9,
        early_stopping=rule,
        validation_data=(X, np.zeros(40)),  # all the same: R2 has no value
        callbacks=[lambda m, h: kept.append(m.Whh.copy())],
    )
    assert len(h) == 3 and np.isnan(h.val_r2).all()
    np.testing.assert_array_equal(m.Whh, kept[-1])  # no epoch was the best


@pytest.mark.parametrize(
    ("loss", "monitor", "there"),
    [
        ("bce", "val_loss", "'loss', 'accuracy'"),
        ("bce", "r2", "'loss', 'accuracy'"),
        ("mse", "accuracy", "'loss', 'mse', 'r2'"),
        ("mse", "val_accuracy", "'loss', 'mse', 'r2'"),
    ],
)
def test_a_measure_that_will_not_be_there(loss, monitor, there):
    m, (train, _) = model(loss), data(loss)
    before, drawn = m._flat.copy(), str(m._generator.bit_generator.state)
    for settings, name in [
        ({"early_stopping": EarlyStopping(monitor=monitor)}, "early_stopping"),
        ({"schedule": ReduceOnPlateau(monitor=monitor)}, "schedule"),
    ]:
        text = f"^{name}.monitor, in this training, must be one of {there}; got '{monitor}'"
        with pytest.raises(ValueError, match=text):
            m.fit(*train, epochs=1, **settings)
        with pytest.raises(ValueError, match=text):
            m.fit_stream([train], **settings)
    np.testing.assert_array_equal(m._flat, before)
    assert str(m._generator.bit_generator.state) == drawn


def test_names_that_no_training_has():
    with pytest.raises(ValueError, match="^monitor must be one of .*; did you mean 'val_accuracy'"):
        EarlyStopping(monitor="val_acuracy")
    with pytest.raises(ValueError, match="^mode must be one of 'auto', 'min', 'max'; got 'less'"):
        ReduceOnPlateau(mode="less")


def test_every_measure_has_a_direction():
    assert {*SIGNS} == {name for loss in LOSSES.values() for name in loss.measures}
