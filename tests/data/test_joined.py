"""Features of whole sequences joined to their steps, as if they were stored at each."""

from __future__ import annotations

import numpy as np
import pytest
from common import assert_same_bits, learned

from rnn_fast import SimpleRNN, windows, with_static
from rnn_fast.tuning import tuned

RNG = np.random.default_rng(0)
N, T = 24, 5
X, STATIC = RNG.standard_normal((N, T, 2)), RNG.standard_normal((N, 3))
WHOLE = np.concatenate([X, np.repeat(STATIC[:, None], T, axis=1)], -1)


@pytest.mark.parametrize(
    "index",
    [slice(None), slice(2, 9, 3), 4, -1, [3, 1, 3], np.arange(N) % 2 == 0, (3, 1), (slice(4), 0)],
    ids=str,
)
def test_indices(index):
    joined = with_static(X, STATIC)
    np.testing.assert_array_equal(joined[index], WHOLE[index])
    assert joined.shape == WHOLE.shape and joined.dtype == WHOLE.dtype and len(joined) == N


def test_a_training_in_blocks_is_one_on_the_whole_array():
    y, options = X.sum((1, 2)) + STATIC[:, 0], {"epochs": 2, "shuffle_block": 8, "verbose": 0}
    results = []
    for data in (WHOLE, with_static(X, STATIC)):
        m = SimpleRNN(5, 4, loss="mse", seed=0)
        with tuned(block_bytes=1):
            result = learned(m, data, y, **options)
            results.append([*result, m.predict(data), m.evaluate(data, y)["loss"]])
    assert_same_bits(*results)


def test_windows_have_static_features_too():
    cut, _ = windows(RNG.standard_normal((40, 2)), 6)
    joined = with_static(cut, np.ones((len(cut), 1)))
    np.testing.assert_array_equal(joined[:][..., :2], cut)
    assert (joined[:][..., 2] == 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, STATIC[:5]), r"static must have shape \(24, S\)"),
        ((X, STATIC[:, 0]), r"static must have shape \(24, S\)"),
        ((X[0], STATIC), r"X must have shape \(N, T, I\)"),
        (([["a"]], STATIC), "X must"),
        ((X, "a"), "static must"),
    ],
)
def test_what_does_not_fit(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        with_static(*arguments)
