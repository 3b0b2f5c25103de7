"""Predictions and measures that are prepared once: the same as those that are not."""

from __future__ import annotations

import copy
import sys
import threading

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, SimpleRNN
from rnn_fast.tuning import tuned

RNG = np.random.default_rng(0)
MODELS = {
    "last": lambda: GRU(2, 5, seed=0),
    "steps": lambda: LSTM(2, 5, 3, return_sequences=True, loss="cross_entropy", seed=0),
    "values": lambda: SimpleRNN(2, 5, 2, bidirectional=True, loss="mse", seed=0),
}


def fresh(m):
    """A model that has nothing prepared."""
    return copy.copy(m)


@pytest.mark.parametrize("name", MODELS)
def test_any_order_of_shapes(name):
    m = MODELS[name]()
    for i in range(30):
        n, T = RNG.integers(1, 4), RNG.integers(1, 4)
        X = RNG.standard_normal((n, T, 2))
        for method in ("decision_function", "predict"):
            found = getattr(m, method)(X)
            kept = found.copy()
            np.testing.assert_array_equal(found, getattr(fresh(m), method)(X.tolist()))
            getattr(m, method)(X + 1)
            np.testing.assert_array_equal(found, kept)  # which the next does not overwrite
        if i % 5 == 0:  # parameters that have changed are used
            m.Whh *= 0.9


def test_measures_without_padding():
    m = MODELS["steps"]()
    X, y, lengths = RNG.standard_normal((3, 4, 2)), RNG.integers(0, 3, (3, 4)), [1, 4, 2]
    lists = (
        [x[:n] for x, n in zip(X, lengths, strict=True)],
        [each[:n] for each, n in zip(y, lengths, strict=True)],
    )
    wanted = m.evaluate(*lists)
    assert m.evaluate(X, y, lengths=lengths) == wanted
    assert m.evaluate(X, y) == m.evaluate(list(X), list(y)) != wanted


@pytest.mark.parametrize("name", ["last", "steps"])
def test_measures_of_windows_and_of_single_samples(name):
    """A sample has the same loss in windows, alone, and in company, whichever driver runs it."""
    m = MODELS[name]()
    lengths = RNG.integers(1, 12, 40)
    X, y = RNG.standard_normal((40, 11, 2)), RNG.integers(0, 2, (40, 11) if name == "steps" else 40)
    weights = RNG.random(y.shape)
    data = {"lengths": lengths, "sample_weight": weights}
    wanted, _ = m.loss_and_gradients(X, y, **data)
    whole = m.evaluate(X, y, **data)
    assert whole["loss"] == pytest.approx(wanted, rel=1e-6)
    with tuned(predict_steps=4):
        assert m.evaluate(X, y, **data) == whole
    sums = np.zeros(2)
    for i in range(40):
        one = {key: value[i : i + 1] for key, value in data.items()}
        weight = float(weights[i, : lengths[i]].sum() if name == "steps" else weights[i])
        sums += m.evaluate(X[i : i + 1], y[i : i + 1], **one)["loss"] * weight, weight
    assert sums[0] / sums[1] == pytest.approx(whole["loss"], rel=1e-7)


def test_a_model_may_go_from_thread_to_thread():
    """Work memory is of a thread, though the models of two threads have the same shape."""
    X = RNG.standard_normal((2, 6, 2))
    models = [GRU(2, 5, seed=seed) for seed in range(4)]
    wanted = [fresh(m).decision_function(X) for m in models]
    losses = [fresh(m).partial_fit(X, [0, 1], learning_rate=0.0) for m in models]
    wrong = []

    def work(part):
        for _ in range(300):
            for k in part:
                found = models[k].decision_function(X)
                loss = models[k].partial_fit(X, np.array([0, 1]), learning_rate=0.0)
                if (found != wanted[k]).any() or loss != losses[k]:
                    wrong.append(k)

    work(range(4))  # all are prepared in this thread
    with tuned():
        for parts in (((0, 1), (2, 3)), ((1, 3), (0, 2))):
            threads = [threading.Thread(target=work, args=(part,)) for part in parts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert wrong == []


def test_threads_may_predict_with_one_model_at_once():
    """Each has a prepared call of its own."""
    m = GRU(2, 5, seed=0)
    parts = [RNG.standard_normal((n, 3, 2)) for n in (1, 3)]
    wanted = [fresh(m).decision_function(X) for X in parts]
    wrong, together, patience = [], threading.Barrier(2), sys.getswitchinterval()

    def work(part):
        together.wait()
        for _ in range(2000):
            if not np.array_equal(m.decision_function(parts[part]), wanted[part]):
                wrong.append(part)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(2)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(patience)
    assert wrong == []


def test_large_work_memory_is_not_kept_by_a_model():
    m = GRU(2, 64, seed=0)
    X = RNG.standard_normal((64, 60, 2))
    with tuned(model_bytes=10_000):
        m.partial_fit(X, np.zeros(64))
        assert m._updates.kept.space is None
        one = m.decision_function(X[:2])
    np.testing.assert_array_equal(one, m.decision_function(X[:2]))
    m.partial_fit(X[:1, :3], np.zeros(1))
    assert m._updates.kept.space is not None
