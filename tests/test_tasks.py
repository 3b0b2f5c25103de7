"""The tasks: what they draw, and that it can be learned."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, SGD
from rnn_fast.tasks import Adding, Copying, SignOfSum, TemporalOrder

TASKS = [
    SignOfSum(7, 3),
    Adding(9),
    Copying(4, 3, 5),
    TemporalOrder(20),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_draws_fit_the_network_and_the_seed(task):
    model = GRU(hidden_size=4, **task.network)
    X, y = task.draw(30, 1)
    assert len(X) == len(y) == 30
    assert np.isfinite(model.evaluate(X, y)["loss"])
    for a, b in zip(task.draw(30, 1), (X, y), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (task.draw(30, 2)[0] != X).any()
    generator = np.random.default_rng(1)
    np.testing.assert_array_equal(task.draw(30, generator)[0], X)
    assert (task.draw(30, generator)[0] != X).any()
    assert len(task.draw(0)[0]) == 0


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
@pytest.mark.parametrize("n", [-1, 2.5, "3", None, True])
def test_a_wrong_number_of_sequences_is_named(task, n):
    for draw in (task.draw, task.batches):
        with pytest.raises((TypeError, ValueError), match="^n must be"):
            draw(n)


def test_adding():
    X, y = Adding(7).draw(50, 0)
    marked = X[:, :, 1] == 1
    assert (marked[:, :3].sum(1) == 1).all() and (marked[:, 3:].sum(1) == 1).all()
    np.testing.assert_allclose(y, X[:, :, 0][marked].reshape(50, 2).sum(1), rtol=1e-6)
    assert X[:, :, 0].min() >= 0 and X[:, :, 0].max() < 1


def test_copying():
    X, y = Copying(delay=4, length=3, letters=5).draw(20, 0)
    assert X.shape == y.shape == (20, 10)
    np.testing.assert_array_equal(X[:, :3], y[:, 7:])
    assert (X[:, :3] >= 1).all() and X[:, :3].max() == 5
    assert (X[:, 6] == 6).all()  # four steps after the word it is to be said
    assert not X[:, 3:6].any() and not X[:, 7:].any() and not y[:, :7].any()


def test_temporal_order():
    X, y = TemporalOrder(40).draw(200, 0)
    first, second = np.nonzero(X < 2)[1].reshape(200, 2).T
    assert set(first) == {4, 5, 6, 7} and set(second) == {20, 21, 22, 23}
    each = np.arange(200)
    np.testing.assert_array_equal(y, 2 * X[each, first] + X[each, second])
    assert set(y) == {0, 1, 2, 3} and set(X.ravel()) == set(range(6))


def test_sign_of_sum():
    X, y = SignOfSum(5, 2).draw(40, 0)
    np.testing.assert_array_equal(y, X.sum((1, 2)) > 0)


def test_an_lstm_solves_the_adding_problem():
    task = Adding(100)
    X, y = task.draw(32_000, 0)
    fresh = task.draw(2000, 1)
    m = LSTM(hidden_size=8, seed=0, **task.network)
    settings = {"batch_size": 32, "learning_rate": 0.3, "optimizer": SGD(momentum=0.9)}
    for _ in range(20):
        m.fit(X, y, epochs=1, **settings)
        if m.evaluate(*fresh)["loss"] < 1e-3:
            return
    pytest.fail("not solved in 20,000 updates")


def test_a_gru_tells_the_order():
    task = TemporalOrder(30)
    X, y = task.draw(4000, 0)
    m = GRU(hidden_size=16, seed=0, **task.network)
    m.fit(X, y, epochs=15, batch_size=32, optimizer="adam", learning_rate=0.01)
    assert m.evaluate(*task.draw(500, 1))["accuracy"] > 0.98


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SignOfSum(0), "steps must be at least 1"),
        (lambda: Adding(1), "steps must be at least 2"),
        (lambda: Copying(letters=0), "letters must be at least 1"),
        (lambda: TemporalOrder(9), "steps must be at least 10"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_batches_are_fresh_and_without_end():
    task = Adding(steps=6)
    some = list(itertools.islice(task.batches(3, seed=0), 4))
    again = list(itertools.islice(task.batches(3, seed=0), 4))
    for (x, y), (x2, y2) in zip(some, again, strict=True):
        assert x.shape == (3, 6, 2)
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)
    assert (some[0][0] != some[1][0]).any()
    with pytest.raises(ValueError, match="^n must be at least 1"):
        task.batches(0)
