"""The loop over epochs: order, divergence, interruption."""

from __future__ import annotations

import pickle
import signal

import numpy as np
import pytest

from rnn_fast import SGD, DivergedError, SimpleRNN
from rnn_fast.training.loop import Training

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5, 2)).astype("f4")
Y = (X.sum((1, 2)) > 0).astype(int)


def model(**settings):
    return SimpleRNN(2, 8, **{"seed": 0, **settings})


def flat(m):
    return np.concatenate([array.ravel() for array in m.parameters.values()])


def test_history():
    h = model().fit(X, Y, epochs=4, batch_size=7, learning_rate=0.5, validation_data=(X[:9], Y[:9]))
    lists = (h.loss, h.accuracy, h.val_loss, h.val_accuracy, h.seconds, h.sequences_per_second)
    assert all(len(values) == 4 and all(type(v) is float for v in values) for values in lists)
    assert h.loss[-1] < h.loss[0] and min(h.accuracy) >= 0 and max(h.val_accuracy) <= 1
    np.testing.assert_allclose(np.multiply(h.seconds, h.sequences_per_second), 60)


def test_validation_measures_the_model_after_the_epoch():
    m = model()
    h = m.fit(X, Y, epochs=2, validation_data=[X[:9].tolist(), Y[:9].tolist()])
    assert {"loss": h.val_loss[-1], "accuracy": h.val_accuracy[-1]} == m.evaluate(X[:9], Y[:9])


def test_loss_without_learning_is_that_of_evaluate():
    m = model()
    before = flat(m)
    h = m.fit(X, Y, epochs=1, batch_size=7, learning_rate=0)
    measured = m.evaluate(X, Y)
    assert h.loss[0] == pytest.approx(measured["loss"], rel=1e-6)
    assert h.accuracy[0] == pytest.approx(measured["accuracy"], rel=1e-12)
    np.testing.assert_array_equal(flat(m), before)


def test_mse_has_no_accuracy():
    h = model(loss="mse").fit(X, X.sum((1, 2)), epochs=2, validation_data=(X, X.sum((1, 2))))
    assert h.accuracy is None and h.val_accuracy is None and len(h.val_loss) == 2


def test_no_epochs():
    m = model()
    before = flat(m)
    assert len(m.fit(X, Y, epochs=0)) == 0
    np.testing.assert_array_equal(flat(m), before)


@pytest.mark.parametrize("batch_size", [1, 7, 60, 1000, None])
def test_same_seed_same_bits(batch_size):
    one, two = model(seed=3), model(seed=3)
    for m in (one, two):
        m.fit(X, Y, epochs=2, batch_size=batch_size)
    np.testing.assert_array_equal(flat(one), flat(two))


def test_the_generator_goes_on_from_fit_to_fit():
    one, two = model(), model()
    one.fit(X, Y, epochs=4, batch_size=7)
    for _ in range(4):
        two.fit(X, Y, epochs=1, batch_size=7)
    np.testing.assert_array_equal(flat(one), flat(two))


def test_momentum_starts_anew_with_each_fit():
    one, two = model(), model()
    one.fit(X, Y, epochs=2, optimizer=SGD(momentum=0.9))
    for _ in range(2):
        two.fit(X, Y, epochs=1, optimizer=SGD(momentum=0.9))
    assert (flat(one) != flat(two)).any()


def nothing(model, history):
    """Ask to be called after each epoch, which no longer are one compiled call."""


def visited(monkeypatch, **settings):
    """The orders in which `fit` visits the samples."""
    orders = []
    real = Training.run_epoch

    def spy(epochs, order, *rest, **options):
        orders.append(order.copy())
        assert order.dtype == np.int64
        return real(epochs, order, *rest, **options)

    monkeypatch.setattr(Training, "run_epoch", staticmethod(spy))
    model().fit(X, Y, epochs=3, callbacks=[nothing], **settings)
    return orders


def test_each_epoch_has_an_order_of_its_own(monkeypatch):
    orders = visited(monkeypatch)
    assert all(sorted(order) == list(range(60)) for order in orders)
    assert (orders[0] != orders[1]).any() and (orders[1] != orders[2]).any()


def test_without_shuffling_the_order_is_that_of_the_data(monkeypatch):
    assert all((order == range(60)).all() for order in visited(monkeypatch, shuffle=False))


def test_a_batch_of_all_is_one_step_down_the_gradient():
    m = model(dtype="f8")
    _, gradients = m.loss_and_gradients(X, Y)
    before = {name: array.copy() for name, array in m.parameters.items()}
    m.fit(X, Y, epochs=1, batch_size=None, learning_rate=0.3)
    for name, array in m.parameters.items():
        np.testing.assert_allclose(array, before[name] - 0.3 * gradients[name], rtol=1e-12)


def test_learning_rate_is_the_models_unless_given():
    one, two = model(learning_rate=0.2), model(learning_rate=0.7)
    one.fit(X, Y, epochs=1)
    two.fit(X, Y, epochs=1, learning_rate=0.2)
    np.testing.assert_array_equal(flat(one), flat(two))
    assert two.learning_rate == 0.7


def test_views_stay_live():
    m = model()
    view, before = m.Whh, m.Whh.copy()
    m.fit(X, Y, epochs=1)
    assert (view != before).any() and (view == m.Whh).all()


# -------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("batch_size", [1, 32])
def test_divergence_restores_the_last_finite_parameters(dtype, batch_size):
    m = model(nonlinearity="relu", loss="mse", dtype=dtype)
    view = m.Whh
    y = X.sum((1, 2))
    m.fit(X, y, epochs=1)
    before = flat(m)
    with pytest.raises(DivergedError, match=r"epoch 1 of 5: .* smaller than 1e\+30") as caught:
        m.fit(X, y, epochs=5, batch_size=batch_size, learning_rate=1e30)
    assert isinstance(caught.value, ArithmeticError)
    assert len(caught.value.history) == 0
    np.testing.assert_array_equal(flat(m), before)
    assert (view == m.Whh).all()
    assert np.isfinite(m.fit(X, y, epochs=1).loss).all()


def failing(monkeypatch, epoch, action):
    """From its `epoch` on, `Training.run_epoch` does `action` after its work."""
    real = Training.run_epoch
    calls = []

    def run(epochs, *rest, **options):
        calls.append(epochs.parameters.copy())
        result = real(epochs, *rest, **options)
        return action(epochs.parameters, result) if len(calls) == epoch else result

    monkeypatch.setattr(Training, "run_epoch", staticmethod(run))
    return calls


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_divergence_in_the_very_last_update(monkeypatch, bad):
    def spoil(parameters, result):
        parameters[-1] = bad
        return result

    starts = failing(monkeypatch, 3, spoil)
    m = model()
    with pytest.raises(DivergedError, match="epoch 3 of 4") as caught:
        m.fit(X, Y, epochs=4, callbacks=[nothing])
    np.testing.assert_array_equal(m._flat, starts[2])
    assert len(caught.value.history) == 2


def test_divergence_of_the_loss_alone(monkeypatch):
    starts = failing(monkeypatch, 2, lambda _, result: result._replace(finite=False))
    m = model()
    with pytest.raises(DivergedError, match="epoch 2 of 4"):
        m.fit(X, Y, epochs=4, callbacks=[nothing])
    np.testing.assert_array_equal(m._flat, starts[1])


def test_the_error_can_be_pickled():
    error = DivergedError("text", "history")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "text" and again.history == "history"


def test_unchecked_nan_is_reported_as_divergence():
    bad = X.copy()
    bad[30] = np.nan
    m = model()
    before = flat(m)
    with pytest.raises(DivergedError, match="epoch 1"):
        m.fit(bad, Y, check_finite=False)
    np.testing.assert_array_equal(flat(m), before)


# ------------------------------------------------------------------------------ interruption


def test_interrupt_leaves_the_last_epoch(monkeypatch):
    ends = []

    def interrupt(parameters, result):
        ends.append(parameters.copy())
        signal.raise_signal(signal.SIGINT)
        return result

    failing(monkeypatch, 2, interrupt)
    m = model()
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, epochs=4, callbacks=[nothing])
    np.testing.assert_array_equal(m._flat, ends[0])
    monkeypatch.undo()
    assert len(m.fit(X, Y, epochs=1)) == 1


def test_interrupt_of_an_epoch_that_diverged(monkeypatch):
    def interrupt(parameters, result):
        parameters[0] = np.nan
        raise KeyboardInterrupt

    starts = failing(monkeypatch, 2, interrupt)
    m = model()
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, epochs=4, callbacks=[nothing])
    np.testing.assert_array_equal(m._flat, starts[1])


# --------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": -1}, ValueError, "epochs must be at least 0; got -1"),
        ({"epochs": 2.0}, TypeError, "epochs must be an integer"),
        ({"epochs": True}, TypeError, "epochs must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1; got 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer"),
        ({"learning_rate": -1}, ValueError, "learning_rate must be finite and not negative"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate must be finite"),
        ({"learning_rate": "0.1"}, TypeError, "learning_rate must be a real number"),
        ({"optimizer": "lion"}, ValueError, "optimizer must be one of 'sgd', .*; got 'lion'"),
        ({"optimizer": None}, TypeError, "optimizer must be a name or an object"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be above 0"),
        ({"clip_value": -0.1}, ValueError, "clip_value must be finite and not negative"),
        ({"verbose": 3}, ValueError, "verbose must be None, False, True or 2; got 3"),
        ({"verbose": "yes"}, ValueError, "verbose must be None"),
        ({"validation_data": X}, TypeError, r"validation_data must be \(X, y\), \(X, y, lengths"),
        ({"validation_data": 3}, TypeError, r"validation_data must be \(X, y\), \(X, y, lengths"),
        ({"validation_data": (X, Y[1:])}, ValueError, r"validation y must have shape \(60,\)"),
        ({"validation_data": (X[0], Y)}, ValueError, r"validation X must have shape \(N, T, 2\)"),
    ],
    ids=str,
)
def test_bad_arguments_change_nothing(settings, error, message):
    m = model()
    before = flat(m)
    with pytest.raises(error, match=f"^{message}"):
        m.fit(X, Y, **settings)
    np.testing.assert_array_equal(flat(m), before)


def test_bad_data_change_nothing():
    m = model()
    before = flat(m)
    for x, y, message in [
        (X[0], Y, "X must have shape"),
        (X[:0], Y[:0], "X must have shape"),
        (X[:, :0], Y, "X must have shape"),
        (X, Y[:-1], r"y must have shape \(60,\) or \(60, 1\)"),
        (X, Y + 1, r"y\[\d+\] = 2 is not in \[0, 1\]"),
        (np.where(np.arange(5)[:, None] == 2, np.nan, X), Y, r"X\[0, 2, 0\] = nan is not finite"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            m.fit(x, y)
    np.testing.assert_array_equal(flat(m), before)
