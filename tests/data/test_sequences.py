"""The border between the user's data and the kernels': lengths, lists, weights, states."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rnn_fast.data.sequences import read_sequences
from rnn_fast.data.states import public_state, read_state
from rnn_fast.data.targets import read_targets
from rnn_fast.layout.network import Network

RNG = np.random.default_rng(0)
NET = Network("tanh", np.dtype("f4"), 2, 4, 1, "mse")
EVERY = NET._replace(sequences=True)
TOKENS = NET._replace(input_size=5, embedding=3, loss="cross_entropy", output_size=3)
X = RNG.standard_normal((4, 3, 2))
LENGTHS = [3, 1, 2, 3]


def refused(error, message, call, *arguments, **options):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call(*arguments, **options)


# --------------------------------------------------------------------------------- sequences


def test_padded_without_lengths():
    inputs = read_sequences("X", X, NET)
    assert inputs.steps == 3 and len(inputs) == 4 and inputs.inside is None
    assert inputs.sequences.starts.tolist() == [0, 3, 6, 9]
    assert inputs.sequences.lengths.tolist() == [3] * 4
    np.testing.assert_array_equal(inputs.shaped(inputs.sequences.x), X.astype("f4"))


def test_padding_is_cleared_in_a_copy():
    bad = X.copy()
    bad[1, 1:], bad[2, 2] = np.nan, np.inf
    before = bad.copy()
    inputs = read_sequences("X", bad, NET, lengths=LENGTHS)
    np.testing.assert_array_equal(bad, before)
    assert np.isfinite(inputs.sequences.x).all()
    assert inputs.inside.tolist() == [True] * 4 + [False] * 2 + [True] * 2 + [False] + [True] * 3


def test_nan_inside_a_sequence_is_refused():
    bad = X.copy()
    bad[2, 1, 0] = np.nan
    refused(ValueError, "X[2, 1, 0] = nan", read_sequences, "X", bad, NET, lengths=LENGTHS)


def test_a_list_of_sequences():
    parts = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
    inputs = read_sequences("X", parts, NET)
    assert inputs.steps is None and inputs.inside is None
    assert inputs.sequences.starts.tolist() == [0, 3, 4, 6]
    assert inputs.sequences.lengths.tolist() == LENGTHS
    for part, own in zip(parts, inputs.shaped(inputs.sequences.x), strict=True):
        np.testing.assert_array_equal(own, part.astype("f4"))


def test_lists_of_numbers_may_be_ragged():
    inputs = read_sequences("X", [[1, 2, 4], [0]], TOKENS)
    assert inputs.sequences.x.tolist() == [1, 2, 4, 0] and inputs.sequences.x.dtype == np.int64
    assert read_sequences("X", [[1, 2], [0, 3]], TOKENS).steps == 2
    assert read_sequences("X", X.tolist(), NET).steps == 3


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([3, 1], ValueError, "lengths must have shape (4,) for 4 sequences; got (2,)"),
        ([3, 1, 0, 3], ValueError, "lengths[2] = 0 is not in 1 .. 3"),
        ([3, 1, 4, 3], ValueError, "lengths[2] = 4 is not in 1 .. 3"),
        ([3.0, 1, 2, 3], TypeError, "lengths must be integers; got dtype float64"),
        ("many", TypeError, "lengths must hold real numbers"),
    ],
)
def test_wrong_lengths(lengths, error, message):
    refused(error, message, read_sequences, "X", X, NET, lengths=lengths)


def test_wrong_lists():
    call = read_sequences
    message = "X[1] must have shape (T, 2), the steps of a sequence, at least one; got (0, 2)"
    refused(ValueError, message, call, "X", [X[0], X[1][:0]], NET)
    refused(ValueError, "X[1] must have shape (T, 2)", call, "X", [X[0], X[1, :, :1]], NET)
    refused(ValueError, "lengths are for padded", call, "X", list(X), NET, lengths=LENGTHS)
    refused(
        ValueError,
        "X[1][2, 0] = nan is not",
        call,
        "X",
        [X[0], np.full((3, 2), [[0, 0], [0, 0], [np.nan, 0]])],
        NET,
    )
    refused(ValueError, "X must have shape", call, "X", [], NET)


def test_tokens():
    refused(TypeError, "X must hold integers", read_sequences, "X", np.zeros((2, 3)), TOKENS)
    bad = np.array([[1, 2], [5, 0]])
    message = "X[1, 0] = 5 is not in the vocabulary 0 .. 4"
    refused(ValueError, message, read_sequences, "X", bad, TOKENS)
    bad[1] = 0, 9
    inputs = read_sequences("X", bad, TOKENS, lengths=[2, 1])
    assert inputs.sequences.x.tolist() == [1, 2, 0, 0]
    refused(ValueError, "X must have shape (N, T)", read_sequences, "X", np.zeros(3, int), TOKENS)


# ----------------------------------------------------------------------------------- targets


def test_targets_of_every_step():
    inputs = read_sequences("X", X, EVERY)
    y = RNG.standard_normal((4, 3))
    for shape in ((4, 3), (4, 3, 1)):
        targets = read_targets("y", y.reshape(shape), inputs, EVERY)
        np.testing.assert_array_equal(targets.y, y.reshape(12, 1).astype("f4"))
        assert targets.weights is None
    message = "y must have shape (4, 3) or (4, 3, 1), samples by steps; got (4,)"
    refused(ValueError, message, read_targets, "y", np.zeros(4), inputs, EVERY)


def test_targets_that_do_not_count_are_not_looked_at():
    y = RNG.standard_normal((4, 3))
    y[1, 1:] = np.nan
    inputs = read_sequences("X", X, EVERY, lengths=LENGTHS)
    targets = read_targets("y", y, inputs, EVERY)
    assert targets.y.reshape(4, 3)[1].tolist() == [np.float32(y[1, 0]), 0, 0]
    whole, mask = read_sequences("X", X, EVERY), ~np.isnan(y)
    targets = read_targets("y", y, whole, EVERY, mask=mask)
    assert targets.weights.tolist() == mask.ravel().tolist()
    y[2, 1] = np.inf
    refused(ValueError, "y[2, 1] = inf is not", read_targets, "y", y, inputs, EVERY)


def test_targets_of_a_list():
    parts = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
    inputs = read_sequences("X", parts, EVERY)
    y = [RNG.standard_normal(n) for n in LENGTHS]
    targets = read_targets("y", y, inputs, EVERY)
    np.testing.assert_array_equal(targets.y[:, 0], np.concatenate(y).astype("f4"))
    call = read_targets
    refused(ValueError, "y must be a list of 4 arrays", call, "y", y[:3], inputs, EVERY)
    refused(ValueError, "y[1] must have shape (1,) or (1, 1)", call, "y", [y[0]] * 4, inputs, EVERY)


# ----------------------------------------------------------------------------------- weights


def weights(net=EVERY, y=None, lengths=None, **options):
    inputs = read_sequences("X", X, net, lengths=lengths)
    y = np.zeros((4, 3) if net.sequences else 4) if y is None else y
    return read_targets("y", y, inputs, net, **options).weights


def test_sample_weight():
    assert weights(NET, sample_weight=[1, 2, 0, 0.5]).tolist() == [1, 2, 0, 0.5]
    found = weights(sample_weight=[1, 2, 0, 0.5])
    assert found.reshape(4, 3).tolist() == [[1] * 3, [2] * 3, [0] * 3, [0.5] * 3]
    each = np.arange(12.0).reshape(4, 3)
    assert weights(sample_weight=each).tolist() == each.ravel().tolist()
    mask = each > 5
    found = weights(sample_weight=each, mask=mask)
    assert found.tolist() == [0] * 6 + [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, -1, 0, 0], "sample_weight[1] = -1 is not a finite weight of at least 0"),
        ([1, np.nan, 0, 0], "sample_weight[1] = nan is not"),
        ([0, 0, 0, 0], "sample_weight must not be zero everywhere"),
        ([1, 2], "sample_weight must have shape (4,); got (2,)"),
    ],
)
def test_wrong_sample_weight(value, message):
    refused(ValueError, message, weights, NET, sample_weight=value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": [1, 1e39, 1, 1]}, "sample_weight[1] = 1e+39 is too large for float32"),
        ({"class_weight": {1: 1e39}}, "class_weight[1] = 1e+39 is too large for float32"),
        (
            {"sample_weight": [1, 1, 2.0**99, 1], "class_weight": {1: 2.0**101}},
            "sample_weight times class_weight[2] = 1.6069380442589903e+60 is too large for float32",
        ),
    ],
)
def test_weights_that_the_dtype_does_not_hold(options, message):
    binary = NET._replace(loss="bce")
    refused(ValueError, message, weights, binary, [0, 1, 1, 0], **options)
    double = binary._replace(dtype=np.dtype("f8"))
    assert np.isfinite(weights(double, [0, 1, 1, 0], **options)).all()


def test_weights_whose_product_overflows():
    double, large = NET._replace(loss="bce", dtype=np.dtype("f8")), {1: 1e200}
    message = "sample_weight times class_weight[1] = inf is not finite"
    options = {"sample_weight": [1, 1e200, 1, 1], "class_weight": large}
    refused(ValueError, message, weights, double, [0, 1, 1, 0], **options)


def test_weights_of_lists():
    parts = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
    inputs = read_sequences("X", parts, EVERY)
    y = [np.zeros(n) for n in LENGTHS]
    own = [np.full(n, i) for i, n in enumerate(LENGTHS)]
    found = read_targets("y", y, inputs, EVERY, sample_weight=own).weights
    assert found.tolist() == np.concatenate(own).tolist()
    own[2] = np.array([1.0, -1.0])
    message = "sample_weight[2][1] = -1.0 is not a finite weight"
    refused(ValueError, message, read_targets, "y", y, inputs, EVERY, sample_weight=own)
    own[2][1] = 1e39
    message = "sample_weight[2][1] = 1e+39 is too large for float32"
    refused(ValueError, message, read_targets, "y", y, inputs, EVERY, sample_weight=own)
    nothing = [0 * part for part in own]
    message = "sample_weight must not be zero everywhere"
    refused(ValueError, message, read_targets, "y", y, inputs, EVERY, sample_weight=nothing)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("x", TypeError, "class_weight[0] must hold real numbers; got dtype <U1"),
        (None, TypeError, "class_weight[0] must hold real numbers; got dtype object"),
        ([1, 2], TypeError, "class_weight[0] must be a number; got shape (2,)"),
        (-1, ValueError, "class_weight[0] = -1.0 is not a finite weight of at least 0"),
    ],
)
def test_class_weights_that_are_no_numbers(value, error, message):
    binary = NET._replace(loss="bce")
    refused(error, message, weights, binary, [0, 1, 1, 0], class_weight={0: value, 1: 1})
    assert weights(binary, [0, 1, 1, 0], class_weight={1: np.array(3)}).tolist() == [1, 3, 3, 1]


def test_hints_about_targets_of_steps():
    inputs = read_sequences("X", X, EVERY)
    y = np.zeros((4, 3))
    y[1, 1:] = np.nan
    message = "y[1, 1] = nan is not finite; steps of padding are left out by lengths"
    refused(ValueError, message, read_targets, "y", y, inputs, EVERY)
    classes = EVERY._replace(loss="cross_entropy", output_size=5)
    message = (
        "y must have shape (4, 3) or (4, 3, 1), samples by steps; got (4, 3, 5); one-hot labels "
        "become class indices by argmax(-1)"
    )
    labels = np.eye(5)[np.zeros((4, 3), int)]
    refused(ValueError, message, read_targets, "y", labels, inputs, classes)
    message = "y must have shape (4,) or (4, 1) for 4 sequences and 1 output; got (4, 3); targets"
    refused(ValueError, message, read_targets, "y", y, read_sequences("X", X, NET), NET)


def test_masks():
    assert weights(mask=np.ones((4, 3), bool)).all()
    refused(ValueError, "mask must have shape (4, 1) or (4,), as y", weights, NET, mask=[True] * 3)
    refused(TypeError, "mask must hold bool", weights, mask=np.ones((4, 3)))
    refused(ValueError, "mask must have shape (4, 3)", weights, mask=np.ones((3, 4), bool))
    refused(ValueError, "mask must be True at a step", weights, mask=np.zeros((4, 3), bool))


def test_class_weight():
    classes = NET._replace(loss="cross_entropy", output_size=3)
    y = [0, 2, 2, 0]
    assert weights(classes, y, class_weight={2: 5}).tolist() == [1, 5, 5, 1]
    assert weights(classes, y, class_weight="balanced").tolist() == [1, 1, 1, 1]
    y = [0, 2, 2, 2]
    wanted = [2, 2 / 3, 2 / 3, 2 / 3]
    np.testing.assert_allclose(weights(classes, y, class_weight="balanced"), wanted, rtol=1e-6)
    binary = NET._replace(loss="bce")
    found = weights(binary, [0, 1, 1, 0], class_weight={0: 2, 1: 3}, sample_weight=[1, 1, 0, 4])
    assert found.tolist() == [2, 3, 0, 8]


def test_wrong_class_weight():
    binary = NET._replace(loss="bce")
    refused(ValueError, "class_weight is for loss", weights, NET, class_weight="balanced")
    refused(ValueError, "class_weight[2] is none", weights, binary, class_weight={2: 1})
    refused(ValueError, "class_weight must be a dict or", weights, binary, class_weight="even")
    refused(TypeError, "class_weight must be a dict or", weights, binary, class_weight=[1, 2])
    refused(ValueError, "all weights are 0", weights, binary, class_weight={0: 0})


# ------------------------------------------------------------------------------------- state


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_states_there_and_back(cell):
    net = NET._replace(cell=cell, layers=2, directions=2)
    parts = RNG.standard_normal((net.states, 4, 5, 4)).astype("f4")
    value = tuple(parts) if cell == "lstm" else parts[0]
    state = read_state(value, 5, net)
    assert state.shape == (5, net.states, 4, 4) and state.flags.c_contiguous
    back = public_state(state)
    np.testing.assert_array_equal(np.array(back), np.array(value))


def test_wrong_states():
    net, call = NET._replace(layers=2), read_state
    message = "initial_state must have shape (2, 5, 4)"
    refused(ValueError, message, call, np.zeros((5, 2, 4)), 5, net)
    refused(ValueError, "initial_state[0, 0, 0] = nan", call, np.full((2, 5, 4), np.nan), 5, net)
    large = "initial_state[0, 0, 0] = 1e+39 is too large for float32"
    refused(ValueError, large, call, np.full((2, 5, 4), 1e39), 5, net)
    lstm = net._replace(cell="lstm")
    refused(TypeError, "initial_state must be a pair (h, c)", call, np.zeros((2, 5, 4)), 5, lstm)
    learned = net._replace(learned_state=True)
    refused(ValueError, "initial_state: a model with", call, np.zeros((2, 5, 4)), 5, learned, True)
    assert call(None, 5, learned) is None
