"""A loss of one's own in `fit`: the built-in one written in NumPy, and what may go wrong."""

from __future__ import annotations

import numpy as np
import pytest
from common import assert_same_bits, flat, without_times

from rnn_fast import LSTM, DivergedError
from rnn_fast.losses import from_jax, from_torch
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")

RNG = np.random.default_rng(0)
N, T = 43, 7
X = RNG.standard_normal((N, T, 3))
LENGTHS = RNG.integers(1, T + 1, N)
LENGTHS[0] = T
WEIGHTS = RNG.uniform(0.5, 2, N)
VALIDATION = {"X": X[:9], "y": None, "lengths": LENGTHS[:9]}


def targets(sequences):
    return np.random.default_rng(1).standard_normal((N, T, 2) if sequences else (N, 2))


def squared_error(outputs, y, weights):
    """The weighted mean, and its gradient."""
    e, total = outputs - y, weights.sum()
    value = (weights * (e**2).mean(-1)).sum() / total
    return value, 2 * e * weights[..., None] / (total * e.shape[-1])


def train(loss, sequences=False, limit=1 << 30, **options):
    """Parameters, and the columns of the history."""
    settings = {"return_sequences": sequences, "num_layers": 2, "dropout": 0.3, "seed": 1}
    m = LSTM(3, 5, 2, loss="mse", dtype="f8", **settings)
    y = targets(sequences)
    options = {"epochs": 3, "optimizer": "adam", "learning_rate": 0.01, "verbose": 0, **options}
    data = {"lengths": LENGTHS, "sample_weight": WEIGHTS}
    validation = {**VALIDATION, "y": y[:9]}
    with tuned(pass_bytes=limit):
        h = m.fit(X, y, loss=loss, validation_data=validation, **data, **options)
    return [flat(m), *without_times(h.arrays()).values()]


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("bptt", [None, 3])
@pytest.mark.parametrize("batch_size", [2, 20, None])
@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_the_models_loss_in_numpy_trains_as_the_models(sequences, bptt, batch_size, limit):
    options = {"batch_size": batch_size, "bptt": bptt}
    wanted = train(None, sequences, **options)
    for found, own in zip(train(squared_error, sequences, limit, **options), wanted, strict=True):
        np.testing.assert_allclose(found, own, rtol=1e-12, atol=1e-12)


def test_threads_and_pieces_give_the_same_bits():
    wanted = train(squared_error, True, batch_size=20, n_threads=1)
    with tuned(worth_seconds=0.0, piece_seconds=1e-9):
        assert_same_bits(train(squared_error, True, batch_size=20, n_threads=2), wanted)


def test_a_resumed_training_has_the_same_bits(tmp_path):
    wanted = train(squared_error, epochs=4)
    path = tmp_path / "run"
    train(squared_error, epochs=2, checkpoint=path)
    assert_same_bits(train(squared_error, epochs=4, checkpoint=path, resume=True), wanted)
    with pytest.raises(ValueError, match="loss"):
        train(None, epochs=4, checkpoint=path, resume=True)


def test_early_stopping_sees_the_loss():
    def worse(outputs, y, weights):
        worse.value += 1.0
        return worse.value, np.zeros_like(outputs)

    worse.value = 0.0
    assert len(train(worse, epochs=50, early_stopping=2)[1]) == 3


def test_the_function_sees_copies_of_what_counts():
    def look(outputs, y, weights):
        assert outputs.shape == (20, T, 2) and y.shape == outputs.shape
        inside = np.arange(T) < np.sort(LENGTHS[20:40])[::-1][:, None]
        np.testing.assert_array_equal(weights > 0, inside)
        assert not outputs[~inside].any() and not y[~inside].any()
        result = squared_error(outputs, y, weights)
        for array in (outputs, y, weights):
            array[:] = np.nan
        return result

    chosen = slice(20, 40)
    m = LSTM(3, 5, 2, loss="mse", dtype="f8", return_sequences=True, seed=1)
    y, options = targets(True)[chosen], {"lengths": LENGTHS[chosen], "verbose": 0}
    h = m.fit(X[chosen], y, loss=look, epochs=2, batch_size=20, shuffle=False, **options)
    assert np.isfinite(h.loss).all() and np.isfinite(y).all()


def test_a_function_in_pytorch_is_differentiated_there():
    torch = pytest.importorskip("torch")

    @from_torch
    def loss(outputs, y, weights):
        each = torch.nn.functional.mse_loss(outputs, y, reduction="none").mean(-1)
        return (weights * each).sum() / weights.sum()

    with torch.no_grad():  # wherever it is called
        found = train(loss, batch_size=20)
    for column, own in zip(found, train(None, batch_size=20), strict=True):
        np.testing.assert_allclose(column, own, rtol=1e-12, atol=1e-12)


def test_a_function_in_jax_is_differentiated_there():
    pytest.importorskip("jax")

    @from_jax
    def loss(outputs, y, weights):
        return (weights * ((outputs - y) ** 2).mean(-1)).sum() / weights.sum()

    found = train(loss, batch_size=20)
    for column, own in zip(found, train(None, batch_size=20), strict=True):
        np.testing.assert_allclose(column, own, rtol=0, atol=1e-4)  # float32


class Failure(Exception):
    pass


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (lambda z: 1.0, TypeError, r"loss must return \(value, gradient\)"),
        (lambda z: ("x", z), TypeError, "a number as its value"),
        (lambda z: (1.0, z[:, :1]), ValueError, r"a gradient of the shape \(20, 2\)"),
        (lambda z: (np.nan, z), DivergedError, "diverged in epoch 1"),
        (lambda z: (1.0, z * np.inf), DivergedError, "diverged in epoch 1"),
        (lambda z: (_ for _ in ()).throw(Failure("mine")), Failure, "mine"),
    ],
)
def test_what_the_function_may_do_wrong(result, error, message):
    m = LSTM(3, 5, 2, loss="mse", dtype="f8", seed=1)
    before = flat(m)
    with pytest.raises(error, match=message):
        m.fit(X, targets(False), loss=lambda z, y, w: result(z), batch_size=20, verbose=0)
    np.testing.assert_array_equal(flat(m), before)
    m.fit(X, targets(False), epochs=1, batch_size=20, verbose=0)


def test_a_loss_must_be_callable():
    with pytest.raises(TypeError, match="loss must be callable; got 'mse'"):
        LSTM(3, 5).fit(X, targets(False)[:, 0], loss="mse")
