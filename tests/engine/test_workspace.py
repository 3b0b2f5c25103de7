"""Work memory: given back, and asked for in vain."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from common import run_python

from rnn_fast import LSTM
from rnn_fast.engine.workspace import SMALL_SPACES, BatchSpace, Memory, Spaces, spaces
from rnn_fast.tuning import TUNING


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_goes_back():
    code = """
import gc, os, numpy as np
from rnn_fast import LSTM
def megabytes():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
def run(steps):
    X = np.random.default_rng(0).standard_normal((16, steps, 1)).astype("f4")
    m = LSTM(1, 8, loss="mse", seed=0)
    m.fit(X, X.sum((1, 2)) / steps, epochs=1, batch_size=16, verbose=False)
    m.loss_and_gradients(X, X.sum((1, 2)), input_gradients=True)
    m.predict(X), m.evaluate(X, X.sum((1, 2)))
run(5)
before = megabytes()
run(20_000)
print(megabytes() - before)
"""
    assert float(run_python(code)) < 30


class Poor(Memory):
    """Memory that has an end."""

    def vector(self, n, dtype, lines=0):
        if n > 1000:
            raise MemoryError("no more")
        return super().vector(n, dtype, lines)


def test_no_memory_for_long_sequences_hints_at_bptt():
    net = LSTM(1, 8)._net
    with pytest.raises(MemoryError, match=r"for 500 steps of 8 units: no more; .* bptt"):
        Spaces(Poor()).get(BatchSpace, net, 500, 4)


def test_small_memory_is_kept():
    m = LSTM(1, 8, loss="mse", seed=0)
    X = np.zeros((4, 5, 1), np.float32)
    m.fit(X, np.zeros(4), epochs=1, batch_size=4, verbose=False)
    kept = spaces.kept[False][0][1]
    m.fit(X, np.zeros(4), epochs=1, batch_size=4, verbose=False)
    assert spaces.kept[False][0][1] is kept


def test_small_memory_of_several_shapes_is_kept_and_large_memory_only_until_the_next():
    kept, net = Spaces(), LSTM(1, 8)._net
    one, two = (kept.get(BatchSpace, net, 5, n, forward_only=True) for n in (8, 16))
    assert kept.get(BatchSpace, net, 5, 8, forward_only=True) is one
    assert kept.get(BatchSpace, net, 5, 8) is not one  # for training
    large = kept.get(BatchSpace, net, 5000, 8, forward_only=True)
    assert large.n_bytes > TUNING.model_bytes
    assert kept.get(BatchSpace, net, 5, 16, forward_only=True) is two
    assert all(space is not large for _, space in kept.kept[True])
    for n in range(20, 40):
        kept.get(BatchSpace, net, 5, n, forward_only=True)
    assert len(kept.kept[True]) == SMALL_SPACES
