"""Choice of the register tile."""

import numpy as np
import pytest
from common import assert_same_bits

from rnn_fast import GRU
from rnn_fast.engine.tiling import batch_tile, vector_lanes
from rnn_fast.jit import processor, vector_registers
from rnn_fast.layout.network import Network
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.all_tiles
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
    with tuned(splitting=(processor(),)):
        assert waste(net, batch) <= vector_lanes(net) // 2
    with tuned(splitting=()):
        assert batch_tile(net, 64, batch).numbers == vector_lanes(net)
        assert waste(net, batch) > vector_lanes(net) // 2 or batch < vector_lanes(net)


@pytest.mark.parametrize("splitting", [(), (processor(),)])
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
    for splitting in ((), (processor(),)):
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


def test_a_small_last_block_has_the_bits_of_a_whole_one():
    """Training, with more threads too, predictions and measures of ragged sequences."""
    rng, lanes = np.random.default_rng(0), vector_lanes(network(4))
    tile = (4, 4, 1, 1.0) if vector_registers() == 32 else (4, 2, 1, 1.0)
    N = tile[1] * lanes + lanes // 2 + 1
    X, lengths = rng.standard_normal((N, 7, 3)), rng.integers(1, 8, N)
    y, found = rng.integers(0, 2, (N, 7)), []
    for tails in ((), (1,)):
        with tuned(tails=tails, tail_favour=0.01, tiles={vector_registers(): (tile,)}):
            model = GRU(3, 4, return_sequences=True, seed=0)
            assert batch_tile(model._net, 7, N).tail == len(tails)
            for batch, n_threads in ((N, 1), (N - 3, 2), (lanes // 2, 1)):
                model.fit(X, y, lengths=lengths, batch_size=batch, epochs=2, n_threads=n_threads)
            found.append((model._flat, model.predict(X), model.evaluate(X, y, lengths=lengths)))
    assert_same_bits(found[0][0], found[1][0])
    assert_same_bits(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]


def test_a_narrow_last_block_is_chosen_where_a_wide_one_is_mostly_empty():
    net = network(2)
    wide = batch_tile(net, 150, 8 * vector_lanes(net))
    if wide.vecs > 2:
        assert batch_tile(net, 150, wide.lanes + vector_lanes(net)).tail == 1
    assert wide.tail == 0
