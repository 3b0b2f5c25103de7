"""The flat vector, its views and how they start."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from rnn_fast import GRU, LSTM, SimpleRNN
from rnn_fast.layout.initialise import initialise, orthogonal
from rnn_fast.layout.memory import aligned
from rnn_fast.layout.network import Network
from rnn_fast.layout.parameters import parameter_views

SHAPES = {"Wxh": (5, 3), "Whh": (5, 5), "bh": (5,), "Why": (2, 5), "by": (2,)}
SIZE = sum(int(np.prod(shape)) for shape in SHAPES.values())
NET = Network("tanh", np.dtype("f8"), 3, 5, 2, "mse")
WHOLE = NET._replace(cell="lstm_peephole", layers=2, directions=2, embedding=4, learned_state=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.dtype("float32")])
@pytest.mark.parametrize("n", [1, 17, 1000])
def test_aligned(n, dtype):
    vector = aligned(n, dtype)
    assert vector.shape == (n,) and vector.dtype == dtype and not vector.any()
    assert vector.ctypes.data % 64 == 0
    assert vector.flags.writeable and vector.flags.c_contiguous


def test_views_have_the_names_and_shapes_of_a_simple_layer():
    named = parameter_views(np.zeros(SIZE), NET)
    assert {name: view.shape for name, view in named.items()} == SHAPES


@pytest.mark.parametrize("net", [NET, WHOLE, WHOLE._replace(cell="gru", embedding=0)])
def test_views_share_the_vector_and_cover_it_once(net):
    flat = np.zeros(net.n_parameters)
    for view in parameter_views(flat, net).values():
        view += 1
    assert (flat == 1).all()


def test_views_have_the_names_and_shapes_of_the_textbook():
    for cell in ("tanh", "gru", "gru_before", "lstm", "lstm_peephole"):
        for net in (NET._replace(cell=cell), WHOLE._replace(cell=cell)):
            named = parameter_views(np.zeros(net.n_parameters), net)
            assert {name: view.shape for name, view in named.items()} == reference.shapes(net)


def test_views_follow_the_layout_of_the_kernels():
    W = np.arange(5 * (3 + 1 + 5)).reshape(5, 9)
    V = 100 + np.arange(2 * 6).reshape(2, 6)
    named = parameter_views(np.concatenate([W.ravel(), V.ravel()]), NET)
    np.testing.assert_array_equal(np.c_[named["Wxh"], named["bh"], named["Whh"]], W)
    np.testing.assert_array_equal(np.c_[named["by"], named["Why"]], V)


@pytest.mark.parametrize("n", [1, 2, 7, 32])
def test_orthogonal(n):
    q = orthogonal((n, n), np.random.default_rng(n))
    np.testing.assert_allclose(q @ q.T, np.eye(n), atol=1e-14)


def test_orthogonal_has_no_favourite_direction():
    """QR alone would make every diagonal element negative or every one positive."""
    diagonal = [orthogonal((3, 3), np.random.default_rng(seed)).diagonal() for seed in range(200)]
    assert np.abs(np.mean(diagonal, axis=0)).max() < 0.15


def test_every_gate_starts_orthogonal():
    named = parameter_views(np.zeros(WHOLE.n_parameters), WHOLE)
    initialise(named, WHOLE, np.random.default_rng(0))
    for end in ("", "_reverse", "_l1", "_l1_reverse"):
        gates = named[f"Whh{end}"].reshape(4, 5, 5)
        np.testing.assert_allclose(gates @ gates.transpose(0, 2, 1), [np.eye(5)] * 4, atol=1e-14)
        assert not (gates[0] == gates[1]).any()
        assert np.abs(named[f"Wxh{end}"]).min() > 0
    assert not any(named[name].any() for name in ("bh", "by", "peephole", "h0", "c0"))


def test_the_forget_gate_starts_open():
    bias = LSTM(2, 3, num_layers=2, bidirectional=True, forget_bias=1.5).bh_l1_reverse
    assert bias.tolist() == [0] * 3 + [1.5] * 3 + [0] * 6
    assert not GRU(2, 3).bh.any() and not GRU(2, 3).bhn.any()


def test_same_start_in_both_dtypes():
    single, double = (SimpleRNN(3, 20, 2, dtype=d, seed=7).parameters for d in ("f4", "f8"))
    for name, array in double.items():
        np.testing.assert_array_equal(array.astype(np.float32), single[name])


def test_seed_decides():
    first, same, other = (SimpleRNN(2, 8, seed=s).Whh for s in (1, 1, 2))
    assert (first == same).all() and (first != other).all()
    assert (SimpleRNN(2, 8).Whh != SimpleRNN(2, 8).Whh).all()
