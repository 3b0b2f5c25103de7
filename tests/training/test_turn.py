"""Threads that share a model: one trains it, the others predict or are refused."""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from common import flat

from rnn_fast import SimpleRNN

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6, 2))
Y = X.sum((1, 2)) / 6
CALLS = {
    "fit": lambda m: m.fit(X, Y, epochs=2, verbose=0),
    "fit_stream": lambda m: m.fit_stream([(X, Y)], verbose=0),
    "partial_fit": lambda m: m.partial_fit(X, Y),
    "apply_gradients": lambda m: m.apply_gradients(m.loss_and_gradients(X, Y)[1]),
}


def model():
    return SimpleRNN(2, 5, loss="mse", seed=1)


def in_a_thread(call, *arguments):
    """Return the result of a call in another thread, or raise its error."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call, *arguments).result()


@pytest.mark.parametrize("name", CALLS)
def test_a_second_thread_is_refused_and_the_same_may_go_on(name):
    seen = []

    def meanwhile(m, history):
        before, state = flat(m), m._generator.bit_generator.state
        with pytest.raises(RuntimeError, match="is being trained by another thread"):
            in_a_thread(CALLS[name], m)
        np.testing.assert_array_equal(flat(m), before)
        assert m._generator.bit_generator.state == state
        if not seen:
            seen.append(before)
            CALLS[name](m)
            assert (flat(m) != before).any()

    m = model()
    m.fit(X, Y, epochs=2, shuffle=False, callbacks=[meanwhile], verbose=0)
    assert seen
    before = flat(m)
    for other in (m, copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        in_a_thread(CALLS[name], other)
        assert (flat(other) != before).any()


def test_a_refused_update_leaves_the_turn_where_it_is():
    m, entered, ends = model(), threading.Event(), threading.Event()

    def wait(model, history):
        entered.set()
        ends.wait()

    thread = threading.Thread(target=lambda: m.fit(X, Y, epochs=1, callbacks=[wait], verbose=0))
    thread.start()
    entered.wait()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            m.partial_fit(X, Y)
    ends.set()
    thread.join()
    with pytest.raises(ValueError):
        m.partial_fit(X, Y[:3])
    in_a_thread(CALLS["partial_fit"], m)


def test_others_predict_while_one_trains():
    """A step of 0 leaves the parameters: predictions must have their bits."""
    m, n = model(), 0
    wanted, measures = m.predict(X), m.evaluate(X, Y)
    options = {"epochs": 3000, "learning_rate": 0.0, "verbose": 0}
    thread = threading.Thread(target=lambda: m.fit(X, Y, batch_size=4, **options))
    thread.start()
    while thread.is_alive():
        np.testing.assert_array_equal(m.predict(X), wanted)
        assert m.evaluate(X, Y) == measures
        n += 1
    assert n
