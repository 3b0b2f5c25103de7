"""The flat vector, its views and how they start."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import SimpleRNN
from rnn_fast.params import aligned, initialise, orthogonal, views

SHAPES = {"Wxh": (5, 3), "Whh": (5, 5), "bh": (5,), "Why": (2, 5), "by": (2,)}
SIZE = sum(int(np.prod(shape)) for shape in SHAPES.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.dtype("float32")])
@pytest.mark.parametrize("n", [1, 17, 1000])
def test_aligned(n, dtype):
    vector = aligned(n, dtype)
    assert vector.shape == (n,) and vector.dtype == dtype and not vector.any()
    assert vector.ctypes.data % 64 == 0
    assert vector.flags.writeable and vector.flags.c_contiguous


def test_views_share_the_vector_and_cover_it_once():
    flat = np.zeros(SIZE)
    named = views(flat, 3, 5, 2)
    assert {name: view.shape for name, view in named.items()} == SHAPES
    for view in named.values():
        view += 1
    assert (flat == 1).all()


def test_views_follow_the_layout_of_the_kernels():
    W = np.arange(5 * (3 + 1 + 5)).reshape(5, 9)
    V = 100 + np.arange(2 * 6).reshape(2, 6)
    named = views(np.concatenate([W.ravel(), V.ravel()]), 3, 5, 2)
    np.testing.assert_array_equal(np.c_[named["Wxh"], named["bh"], named["Whh"]], W)
    np.testing.assert_array_equal(np.c_[named["by"], named["Why"]], V)


def test_views_of_several_gates():
    named = views(np.zeros(4 * 5 * 9 + 12), 3, 5, 2, gates=4)
    assert named["Wxh"].shape == (20, 3) and named["Whh"].shape == (20, 5)
    assert named["bh"].shape == (20,) and named["Why"].shape == (2, 5)


@pytest.mark.parametrize("n", [1, 2, 7, 32])
def test_orthogonal(n):
    q = orthogonal(n, np.random.default_rng(n))
    np.testing.assert_allclose(q @ q.T, np.eye(n), atol=1e-14)


def test_orthogonal_has_no_favourite_direction():
    """QR alone would make every diagonal element negative or every one positive."""
    diagonal = [orthogonal(3, np.random.default_rng(seed)).diagonal() for seed in range(200)]
    assert np.abs(np.mean(diagonal, axis=0)).max() < 0.15


def test_every_gate_starts_orthogonal():
    named = views(np.zeros(4 * 5 * 9 + 12), 3, 5, 2, gates=4)
    initialise(named, np.random.default_rng(0))
    gates = named["Whh"].reshape(4, 5, 5)
    np.testing.assert_allclose(gates @ gates.transpose(0, 2, 1), [np.eye(5)] * 4, atol=1e-14)
    assert not (gates[0] == gates[1]).any()
    assert not named["bh"].any() and not named["by"].any()


def test_same_start_in_both_dtypes():
    single, double = (SimpleRNN(3, 20, 2, dtype=d, seed=7).parameters for d in ("f4", "f8"))
    for name, array in double.items():
        np.testing.assert_array_equal(array.astype(np.float32), single[name])


def test_seed_decides():
    first, same, other = (SimpleRNN(2, 8, seed=s).Whh for s in (1, 1, 2))
    assert (first == same).all() and (first != other).all()
    assert (SimpleRNN(2, 8).Whh != SimpleRNN(2, 8).Whh).all()
