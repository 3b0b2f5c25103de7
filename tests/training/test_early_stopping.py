"""Stopping early, held-out data, callbacks."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU, DivergedError, EarlyStopping, SimpleRNN
from rnn_fast.engine import operations
from rnn_fast.training.early_stopping import chosen_stopping
from rnn_fast.training.loop import Training

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5, 2))
Y = X.sum((1, 2))


def model(**settings):
    return SimpleRNN(2, 6, **{"seed": 0, "loss": "mse", "dtype": "f8", **settings})


def test_it_stops_and_restores_the_best():
    """Noise cannot be learned: the loss on other data rises sooner or later."""
    m, noise = model(), RNG.standard_normal(40)
    other = X[:20] + 1, RNG.standard_normal(20)
    settings = {"validation_data": other, "learning_rate": 0.1, "epochs": 500}
    h = m.fit(X, noise, early_stopping=5, **settings)
    best = int(np.argmin(h.val_loss))
    assert len(h) == best + 6 < 500
    assert m.evaluate(*other)["loss"] == h.val_loss[best]
    two = model()
    rule = EarlyStopping(patience=5, restore_best=False)
    assert two.fit(X, noise, early_stopping=rule, **settings).val_loss == h.val_loss
    assert two.evaluate(*other)["loss"] == h.val_loss[-1]


def test_without_other_data_it_watches_the_training():
    m = model()
    h = m.fit(X, Y, epochs=50, early_stopping=EarlyStopping(3, min_delta=1e3))
    assert len(h) == 4  # the first is always better than nothing


def test_the_best_is_restored_however_training_ends(monkeypatch):
    m, kept = model(), []

    def watch(m, history):
        kept.append(m.Whh.copy())
        if len(history) == 3:
            monkeypatch.setattr(Training, "run_epoch", staticmethod(broken))

    def broken(epochs, *arguments, **options):
        epochs.parameters[:] = np.nan
        return operations.Epoch(np.nan, 0.0, False)

    with pytest.raises(DivergedError) as error:
        m.fit(X, Y, epochs=9, early_stopping=2, callbacks=[watch])
    best = int(np.argmin(error.value.history.loss))
    np.testing.assert_array_equal(m.Whh, kept[best])


def test_callbacks_are_all_called_and_may_stop():
    seen = []
    first = lambda m, h: len(h) == 2  # noqa: E731
    m = model()
    h = m.fit(X, Y, epochs=9, callbacks=[first, lambda m, h: seen.append((m, len(h)))])
    assert len(h) == 2 and seen == [(m, 1), (m, 2)]


def test_a_callback_that_fails_is_heard():
    with pytest.raises(ZeroDivisionError):
        model().fit(X, Y, callbacks=[lambda m, h: 1 / 0])


@pytest.mark.parametrize("sequences", [True, False])
def test_a_split_is_the_same_as_two_sets(sequences):
    lengths = RNG.integers(1, 6, 40)
    y = RNG.standard_normal((40, 5)) if sequences else Y
    weight = RNG.random(40)
    options = {"return_sequences": sequences, "loss": "mse", "dtype": "f8"}
    one, two = GRU(2, 4, seed=1, **options), GRU(2, 4, seed=2, **options)
    for name, value in one.parameters.items():
        setattr(two, name, value)
    drawn = np.random.default_rng(5).permutation(40)
    held, rest = np.sort(drawn[:10]), np.sort(drawn[10:])
    one._generator = np.random.default_rng(5)
    settings = {"epochs": 3, "batch_size": 7, "shuffle": False}
    h = one.fit(X, y, lengths=lengths, sample_weight=weight, validation_split=0.25, **settings)
    for epoch in range(3):
        settings["epochs"] = 1
        own = {"lengths": lengths[rest], "sample_weight": weight[rest]}
        loss = two.fit(X[rest], y[rest], **own, **settings).loss[0]
        assert h.loss[epoch] == loss
        own = {"lengths": lengths[held], "sample_weight": weight[held]}
        assert h.val_loss[epoch] == pytest.approx(two.evaluate(X[held], y[held], **own)["loss"])
    np.testing.assert_array_equal(one.Whh, two.Whh)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"early_stopping": 0}, ValueError, "early_stopping must be at least 1"),
        ({"early_stopping": "soon"}, TypeError, "early_stopping must be an integer"),
        ({"validation_split": 1}, ValueError, r"validation_split must be in \[0, 1\)"),
        ({"validation_split": 0.999}, ValueError, "validation_split=0.999 of 40 sequences leaves"),
        (
            {"validation_split": 0.5, "validation_data": (X, Y)},
            ValueError,
            "validation_split cannot go with validation_data",
        ),
    ],
)
def test_what_is_refused(settings, error, message):
    with pytest.raises(error, match=f"^{message}"):
        model().fit(X, Y, **settings)


def test_rules_are_checked():
    with pytest.raises(ValueError, match="^patience must be at least 1"):
        EarlyStopping(0)
    with pytest.raises(ValueError, match="^min_delta must be"):
        EarlyStopping(1, min_delta=-1)
    assert chosen_stopping(None) is None
