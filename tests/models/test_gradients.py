"""Gradients of functions of a model's outputs, states after each step, layers without a head."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from common import assert_same_bits

from rnn_fast import GRU, LSTM, Stack
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")

RNG = np.random.default_rng(0)
#: sequences that the units driver takes, and that the batch driver takes
EACH_DRIVER = pytest.mark.parametrize("N", [3, 21])
T, I, H, O = 7, 3, 5, 2


def model(**options):
    settings = {"num_layers": 2, "bidirectional": True, "dtype": "f8", "seed": 1, "loss": "mse"}
    return LSTM(I, H, O, **{**settings, **options})


def data(N, sequences=True):
    """Sequences of unequal lengths, targets, initial states."""
    lengths = RNG.integers(1, T + 1, N)
    lengths[0] = T
    y = RNG.standard_normal((N, T, O) if sequences else (N, O))
    state = tuple(RNG.standard_normal((2, 4, N, H)))
    return RNG.standard_normal((N, T, I)), y, {"lengths": lengths, "initial_state": state}


def assert_close(got, wanted):
    assert got.keys() == wanted.keys()
    for name, gradient in got.items():
        a, b = np.array(gradient), np.array(wanted[name])
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13 * np.abs(b).max(), err_msg=name)


@EACH_DRIVER
@pytest.mark.parametrize("sequences", [False, True])
def test_the_gradient_of_a_loss_pulled_back_is_that_of_the_loss(N, sequences):
    m = model(return_sequences=sequences)
    X, y, options = data(N, sequences)
    _, wanted = m.loss_and_gradients(X, y, input_gradients=True, **options)
    outputs, pullback = m.vjp(X, input_gradients=True, **options)
    np.testing.assert_array_equal(outputs, m.decision_function(X, **options))
    n, garbage = N, np.zeros(outputs.shape)
    if sequences:
        inside = np.arange(T) < options["lengths"][:, None]
        n, garbage = inside.sum(), np.where(inside, 0, np.nan)[:, :, None]
    doutputs = 2 * (outputs - y) / (n * O) + garbage  # padding may hold anything
    assert_close(pullback(doutputs), wanted)
    assert_close(pullback(doutputs), wanted)  # again


@EACH_DRIVER
def test_states_between_chunks_carry_the_gradient(N):
    """Of two halves, one after the other, as of the whole."""
    m = Stack("lstm", I, H, num_layers=2, dtype="f8", seed=1)
    X, state = RNG.standard_normal((N, T, I)), tuple(RNG.standard_normal((2, 2, N, H)))
    doutputs, dstate = RNG.standard_normal((N, T, H)), tuple(RNG.standard_normal((2, 2, N, H)))
    options = {"return_state": True, "input_gradients": True}
    (outputs, end), pullback = m.vjp(X, initial_state=state, **options)
    whole = pullback(doutputs, dstate)
    (first, middle), pull_first = m.vjp(X[:, :3], initial_state=state, **options)
    (second, last), pull_second = m.vjp(X[:, 3:], initial_state=middle, **options)
    np.testing.assert_allclose(np.concatenate([first, second], 1), outputs, atol=1e-15)
    np.testing.assert_allclose(last, end, atol=1e-15)
    after = pull_second(doutputs[:, 3:], dstate)
    before = pull_first(doutputs[:, :3], after.pop("initial_state"))
    dX = np.concatenate([before.pop("X"), after.pop("X")], 1)
    found = {name: before[name] + after.get(name, 0) for name in before if name in after}
    assert_close({**found, "initial_state": before["initial_state"], "X": dX}, whole)


def test_states_that_are_not_kept_give_the_same_bits():
    X, _, options = data(21)
    results = []
    for limit in (1 << 30, 0):
        with tuned(pass_bytes=limit):
            m = model(return_sequences=True)
            outputs, pullback = m.vjp(X, **options)
            results.append([outputs, *pullback(np.cos(outputs)).values()])
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_threads_give_the_same_bits():
    X = RNG.standard_normal((150, 60, I))
    m, results = model(return_sequences=True), []
    with tuned(worth_seconds=0.0):
        for n_threads in (1, 2):
            outputs, pullback = m.vjp(X, n_threads=n_threads)
            results.append([outputs, *pullback(np.cos(outputs)).values()])
    assert_same_bits(*results)


def test_a_pullback_belongs_to_the_parameters_and_inputs_of_its_pass():
    X, _, options = data(21)
    m = model(return_sequences=True)
    outputs, pullback = m.vjp(X, **options)
    wanted = pullback(np.cos(outputs))
    m.Whh *= 2.0
    X *= 2.0
    m.vjp(X, **options)[1](np.sin(outputs))
    assert_close(pullback(np.cos(outputs)), wanted)


def test_dropout_is_drawn_from_the_models_generator():
    X = RNG.standard_normal((21, T, I))
    one, two = (model(dropout=0.5, return_sequences=True) for _ in range(2))
    plain = one.vjp(X)[0]
    (a, pull_a), (b, pull_b) = (m.vjp(X, training=True) for m in (one, two))
    assert_same_bits([a, *pull_a(np.cos(a)).values()], [b, *pull_b(np.cos(a)).values()])
    assert np.abs(a - plain).max() > 0.01
    assert np.abs(one.vjp(X, training=True)[0] - a).max() > 0.01


def test_lists_for_lists():
    X, _, options = data(21)
    parts = [x[:n] for x, n in zip(X, options["lengths"], strict=True)]
    m, state = model(return_sequences=True), options["initial_state"]
    outputs, pullback = m.vjp(X, **options)
    each, pull_each = m.vjp(parts, initial_state=state, input_gradients=True)
    for one, whole, n in zip(each, outputs, options["lengths"], strict=True):
        np.testing.assert_array_equal(one, whole[:n])
    gradients = pull_each([np.cos(one) for one in each])
    assert [dx.shape for dx in gradients.pop("X")] == [x.shape for x in parts]
    assert_close(gradients, pullback(np.cos(outputs)))
    with pytest.raises(TypeError, match=r"doutputs must be a list of 21 arrays"):
        pull_each(outputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((21, T, 3)),), r"doutputs must have the shape \(21, 7, 2\)"),
        (("x",), "doutputs"),
        ((np.zeros((21, T, O)), np.zeros((4, 21, H))), r"dstate must be a pair \(h, c\)"),
        ((np.zeros((21, T, O)), (np.zeros(3), np.zeros(3))), "dstate must have shape"),
    ],
)
def test_a_pullback_refuses_what_does_not_fit(arguments, message):
    _, pullback = model(return_sequences=True).vjp(RNG.standard_normal((21, T, I)))
    with pytest.raises((TypeError, ValueError), match=message):
        pullback(*arguments)


def test_vjp_refuses_gradients_of_indices():
    with pytest.raises(ValueError, match="input_gradients: indices have no gradient"):
        GRU(5, 4, embedding_size=2).vjp(np.zeros((3, 4), int), input_gradients=True)


# -------------------------------------------------------------------------------------- states


@EACH_DRIVER
def test_states_are_those_that_predictions_end_with(N):
    m = model()
    X, _, options = data(N)
    h, c = m.states(X, cell_state=True, **options)
    assert h.shape == c.shape == (4, N, T, H)
    _, (h_last, c_last) = m.decision_function(X, return_state=True, **options)
    for b, n in enumerate(options["lengths"]):
        for states, last in ((h, h_last), (c, c_last)):
            np.testing.assert_array_equal(states[::2, b, n - 1], last[::2, b])  # forward
            np.testing.assert_array_equal(states[1::2, b, 0], last[1::2, b])  # reverse
            assert not states[:, b, n:].any()


@EACH_DRIVER
def test_states_of_a_layer(N):
    m = model(return_sequences=True)
    X, _, options = data(N)
    h = m.states(X, **options)
    for layer in (0, 1, -1):
        own = m.states(X, layer=layer, **options)
        np.testing.assert_array_equal(own, np.concatenate([*h[2 * layer :][:2]], -1))
    logits = own @ m.Why.T + m.by
    inside = (np.arange(T) < options["lengths"][:, None])[:, :, None]
    np.testing.assert_allclose(logits * inside, m.predict(X, **options), atol=1e-14)


def test_states_of_lists_of_many_steps():
    m = LSTM(I, H, num_layers=2, dtype="f8", seed=1)
    X = [RNG.standard_normal((n, I)) for n in (5, 40, 1)]
    with tuned(predict_steps=16):
        found = m.states(X)
    assert [each.shape for each in found] == [(2, len(x), H) for x in X]
    np.testing.assert_array_equal(found[1], m.states(X[1][None])[:, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 2}, "layer must be at most 1; got 2"),
        ({"layer": "top"}, 'layer must be "all" or a number'),
        ({"layer": 0.5}, "layer must be an integer"),
    ],
)
def test_states_refuse_a_layer_that_is_not_there(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model().states(np.zeros((1, T, I)), **options)


def test_only_an_lstm_has_cell_states():
    with pytest.raises(ValueError, match="cell_state: the cell gru has no state but h"):
        GRU(I, H).states(np.zeros((1, T, I)), cell_state=True)


# --------------------------------------------------------------------------------------- stack


def test_a_stack_has_the_states_of_a_models_top_layer():
    m, stack = model(), Stack("lstm", I, H, num_layers=2, bidirectional=True, dtype="f8", seed=1)
    X, _, options = data(21)
    assert m.parameters.keys() - stack.parameters.keys() == {"Why", "by"}
    for name in stack.parameters:
        setattr(stack, name, getattr(m, name))
    outputs, _ = stack.vjp(X, **options)
    np.testing.assert_array_equal(outputs, m.states(X, layer=-1, **options))


def test_a_stack_can_be_copied_and_pickled():
    stack = Stack("gru", I, H, dtype="f8", seed=1)
    X = RNG.standard_normal((3, T, I))
    for other in (copy.deepcopy(stack), pickle.loads(pickle.dumps(stack))):
        np.testing.assert_array_equal(other.vjp(X)[0], stack.vjp(X)[0])
        other.Whh[:] = 0
        assert stack.Whh.all()
    assert repr(stack).startswith("<Stack('gru', input_size=3, hidden_size=5")


def test_a_stack_refuses_what_is_no_cell():
    with pytest.raises(ValueError, match="cell must be one of"):
        Stack("gur", I, H)
