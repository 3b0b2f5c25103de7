"""Sequences chosen of a dataset are as a dataset of these sequences alone."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast.data.dataset import Dataset
from rnn_fast.layout.network import Network

RNG = np.random.default_rng(0)
N, T = 9, 5
LENGTHS = np.array([5, 1, 3, 5, 2, 5, 4, 1, 5])
X, Y, STATE = RNG.standard_normal((N, T, 2)), RNG.standard_normal((N, T)), np.ones((1, N, 4))
WEIGHTS = RNG.uniform(1, 2, N)


def part(value, chosen):
    return [value[i] for i in chosen] if isinstance(value, list) else value[chosen]


def rows_of(block):
    """Rows, targets and weights of each sequence."""
    (x, starts, lengths), (y, weights, _) = block.inputs.sequences, block.targets
    for i, (start, n) in enumerate(zip(starts, lengths, strict=True)):
        rows = slice(start, start + n)
        at = rows if len(y) == len(x) else slice(i, i + 1)
        yield x[rows], y[at], weights[at]


@pytest.mark.parametrize("chosen", [[1, 2, 6], [0, 3, 8], [4], [3, 3, 5]])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("form", ["equal", "padded", "list"])
def test_chosen(form, sequences, chosen):
    net = Network("gru", np.dtype("f8"), 2, 4, 1, "mse", sequences=sequences)
    x, steps, more = X, Y, {}
    if form == "padded":
        more = {"lengths": LENGTHS}
    if form == "list":
        x, steps = ([a[:n] for a, n in zip(b, LENGTHS, strict=True)] for b in (X, Y))
    y = steps if sequences else Y[:, 0]

    def dataset(x, y, weights, state, lengths=None):
        return Dataset(net, x, y, trains=True, sample_weight=weights, state=state, lengths=lengths)

    got = dataset(x, y, WEIGHTS, STATE, **more).chosen(np.array(chosen))
    own = {name: value[chosen] for name, value in more.items()}
    alone = dataset(part(x, chosen), part(y, chosen), WEIGHTS[chosen], STATE[:, chosen], **own)
    assert len(got) == len(alone) == len(chosen)
    one, two = got.load(0), alone.load(0)
    assert one.inputs.steps == two.inputs.steps
    for a, b in zip(rows_of(one), rows_of(two), strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(one.state, two.state)
    lengths = two.inputs.sequences.lengths
    if (lengths == lengths[0]).all() and form != "padded":  # whole rows lie side by side
        np.testing.assert_array_equal(one.inputs.sequences.x, two.inputs.sequences.x)
