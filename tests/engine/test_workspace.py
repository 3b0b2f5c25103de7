"""Work memory: given back, and asked for in vain."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from common import run_python

from rnn_fast import LSTM
from rnn_fast.engine.workspace import BatchSpace, Memory, Spaces, spaces


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
    kept = spaces.kept[False][1]
    m.fit(X, np.zeros(4), epochs=1, batch_size=4, verbose=False)
    assert spaces.kept[False][1] is kept
