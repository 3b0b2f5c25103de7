"""The short way for small, plain arrays: the same as the long way, or not taken."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU
from rnn_fast.data.plain import SMALL, plain_block
from rnn_fast.data.sequences import read_sequences
from rnn_fast.data.targets import read_targets

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 2))


class Own(np.ndarray):
    """An array that may do anything."""


def put(array, value, at=-1):
    array = array.copy()
    array.flat[at] = value
    return array


#: sequences, and whether the short way takes them
SEQUENCES = {
    "float64": (X, True),
    "float32": (X.astype("f4"), True),
    "view": (RNG.standard_normal((9, 8, 4))[::3, 1::2, ::-2], True),
    "fortran": (np.asfortranarray(X), True),
    "read-only": (np.frombuffer(X.tobytes()).reshape(X.shape).copy(), True),
    "large numbers": (put(X, 1e300), False),
    "nan": (put(X, np.nan), False),
    "infinity": (put(X, -np.inf), False),
    "integers": (np.ones((3, 4, 2), int), False),
    "float16": (X.astype("f2"), False),
    "swapped bytes": (X.astype(">f8"), False),
    "list": (X.tolist(), False),
    "class": (X.view(Own), False),
    "masked": (np.ma.array(X), False),
    "buffer": (np.frombuffer(X.tobytes()).reshape(X.shape), False),
    "features": (X[:, :, :1], False),
    "axes": (X[0], False),
    "empty": (X[:0], False),
    "large": (np.zeros((SMALL // 8 + 1, 4, 2)), False),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name, dtype):
    net, (x, is_short) = GRU(2, 3, dtype=dtype)._net, SEQUENCES[name]
    block = plain_block(net, x, None, True)
    assert (block is not None) == is_short
    if block is None:
        return
    wanted = read_sequences("X", x, net)
    assert block.inputs.steps == wanted.steps
    for one, two in zip(block.inputs.sequences, wanted.sequences, strict=True):
        assert one.dtype == two.dtype and one.flags.c_contiguous and one.flags.aligned
        np.testing.assert_array_equal(one, two)
    assert not np.shares_memory(block.inputs.sequences.x, x)


def test_without_a_check_anything_finite_or_not_passes():
    net = GRU(2, 3, loss="mse")._net
    block = plain_block(net, put(X, np.nan), put(X[:, 0, 0], np.inf), False)
    assert block is not None and np.isnan(block.inputs.sequences.x[-1, -1])


def test_a_memmap_is_read_through_the_system(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    net = GRU(2, 3)._net
    for x in (mapped, np.asarray(mapped), np.asarray(mapped)[:1]):
        assert plain_block(net, x, None, True) is None


def test_places_are_shared_and_nobody_writes_to_them():
    net = GRU(2, 3)._net
    one, two = (plain_block(net, X, None, True).inputs.sequences for _ in range(2))
    assert one.starts is two.starts and one.lengths is two.lengths
    for places in (one.starts, one.lengths):
        with pytest.raises(ValueError, match="read-only"):
            places[0] = 1


#: loss, outputs, targets of three sequences, and whether the short way takes them
TARGETS = {
    "labels": ("bce", 1, np.array([0, 1, 1]), True),
    "column": ("bce", 1, np.array([[0.5], [1], [0]]), True),
    "small integers": ("bce", 1, np.array([0, 1, 1], "u1"), True),
    "outputs": ("mse", 2, X[:, 0], True),
    "classes": ("cross_entropy", 4, np.array([0, 3, 1]), True),
    "one too many": ("cross_entropy", 4, np.array([0, 4, 1]), False),
    "negative": ("cross_entropy", 4, np.array([0, -1, 1]), False),
    "unsigned": ("cross_entropy", 4, np.array([0, 2**64 - 1, 1], "u8"), False),
    "fractions": ("cross_entropy", 4, np.array([0, 1.5, 1]), False),
    "whole fractions": ("cross_entropy", 4, np.array([0, 2.0, 1]), False),
    "above": ("bce", 1, np.array([0, 1, 1.5]), False),
    "below": ("bce", 1, np.array([0, 1, -1e-9]), False),
    "nan": ("mse", 1, np.array([0, 1, np.nan]), False),
    "nan label": ("bce", 1, np.array([0, 1, np.nan]), False),
    "bool": ("bce", 1, np.array([False, True, True]), False),
    "too few": ("mse", 1, np.zeros(2), False),
    "row": ("mse", 1, np.zeros((1, 3)), False),
    "list": ("mse", 1, [0, 1, 2], False),
    "complex": ("mse", 1, np.zeros(3, complex), False),
}


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", TARGETS)
def test_targets(name, dtype, many):
    loss, outputs, y, is_short = TARGETS[name]
    net = GRU(2, 3, outputs, loss=loss, dtype=dtype)._net
    x = X
    if not many and is_short:
        x, y = X[:1], y[:1]
    block = plain_block(net, x, y, True)
    assert (block is not None) == is_short
    if block is not None:
        wanted = read_targets("y", y, read_sequences("X", x, net), net)
        assert block.targets.weights is wanted.weights is None
        np.testing.assert_array_equal(block.targets.y, wanted.y)
        assert block.targets.y.dtype == wanted.y.dtype
        assert not np.shares_memory(block.targets.y, y)


def test_targets_of_every_step():
    net = GRU(2, 3, return_sequences=True, loss="mse")._net
    for y in (X[:, :, 0], X[:, :, :1]):
        block = plain_block(net, X, y, True)
        wanted = read_targets("y", y, read_sequences("X", X, net), net)
        np.testing.assert_array_equal(block.targets.y, wanted.y)
    assert plain_block(net, X, X[:, 0, 0], True) is None
