"""Choice of the register tile."""

import numpy as np
import pytest
from common import assert_same_bits

from rnn_fast import GRU
from rnn_fast.engine.tiling import batch_tile, vector_lanes
from rnn_fast.jit import target, vector_registers
from rnn_fast.layout.network import Network
from rnn_fast.tuning import tuned

halves = pytest.mark.skipif(vector_registers() < 32, reason="tiles of whole registers only")


def network(H):
    return Network("gru", np.dtype("float32"), 3, H, 1, "bce")


def waste(net, batch):
    return -batch % batch_tile(net, 64, batch).lanes


@halves
@pytest.mark.parametrize("batch", [0.5, 1.25, 2.25, 3.25])
def test_half_vectors_waste_less_where_they_are_as_fast(batch):
    net = network(64)
    batch = int(batch * vector_lanes(net))
    with tuned(splitting=(target()[0],)):
        assert waste(net, batch) <= vector_lanes(net) // 2
    with tuned(splitting=()):
        assert batch_tile(net, 64, batch).numbers == vector_lanes(net)
        assert waste(net, batch) > vector_lanes(net) // 2 or batch < vector_lanes(net)


@pytest.mark.parametrize("splitting", [(), (target()[0],)])
def test_whole_vectors_are_kept_where_halves_gain_little(splitting):
    with tuned(splitting=splitting):
        for batch in (1, 2, 4, 32):
            net = network(64)
            batch *= vector_lanes(net)
            assert batch_tile(net, 64, batch).numbers == vector_lanes(net)
        net = network(2)  # few products, much else
        assert batch_tile(net, 150, 100).numbers == vector_lanes(net)


@halves
def test_predictions_have_the_same_bits_with_half_vectors():
    model, X = GRU(3, 20, seed=0), np.random.default_rng(0).standard_normal((20, 9, 3))
    predictions = []
    for splitting in ((), (target()[0],)):
        with tuned(splitting=splitting):
            predictions += [model.predict(X), model.predict(X[:3])]
    assert_same_bits(predictions[0], predictions[2])
    assert_same_bits(predictions[1], predictions[3])
    assert_same_bits(predictions[0][:3], predictions[1])


@halves
def test_wide_blocks_read_large_weights_less_often():
    batch = 16 * vector_lanes(network(1))
    assert batch_tile(network(64), 20, batch).vecs == 1
    assert batch_tile(network(256), 20, batch).vecs > 1
