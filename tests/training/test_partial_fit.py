"""Single updates, and optimizers whose state goes on from call to call."""

from __future__ import annotations

import contextlib
import copy
import pickle

import numpy as np
import pytest
from common import assert_same_bits, flat
from interrupter import Interrupter

import rnn_fast
from rnn_fast import GRU, LSTM, SGD, Adam, DivergedError, SimpleRNN
from rnn_fast.optimizers import OPTIMIZERS
from rnn_fast.tuning import tuned

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6, 2))
Y = X.sum((1, 2)) / 6
CELLS = {"rnn": SimpleRNN, "gru": GRU, "lstm": LSTM}
WHOLE = {"shuffle": False, "batch_size": None, "verbose": False}
IN_ORDER = {**WHOLE, "batch_size": 1}


def model(kind=GRU, **settings):
    return kind(2, 5, **{"loss": "mse", "seed": 1, **settings})


def state_of(m):
    """Parameters, moments and knobs of a model."""
    descent = m._updates.kept.descent
    return [flat(m), descent.moments.copy(), descent.knobs.copy()]


def same_bits(one, two):
    return all((a == b).all() for a, b in zip(one, two, strict=True))


# ------------------------------------------------------------------------------------ one update


@pytest.mark.parametrize("kind", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updates_are_those_of_fit(kind, optimizer):
    one, two = model(kind), model(kind)
    rule = OPTIMIZERS[optimizer]()
    losses = [
        one.partial_fit(X[i : i + 1], Y[i : i + 1], optimizer=rule, learning_rate=0.01)
        for i in range(12)
    ]
    history = two.fit(X, Y, epochs=1, optimizer=optimizer, learning_rate=0.01, **IN_ORDER)
    np.testing.assert_array_equal(flat(one), flat(two))
    assert all(type(loss) is float for loss in losses)
    assert np.mean(losses) == pytest.approx(history.loss[0], rel=1e-6)


def test_the_step_is_down_the_gradient_at_the_models_rate():
    m = model(dtype="f8", learning_rate=0.3)
    loss, gradients = m.loss_and_gradients(X, Y)
    before = {name: array.copy() for name, array in m.parameters.items()}
    assert m.partial_fit(X, Y) == pytest.approx(loss, rel=1e-12)
    for name, array in m.parameters.items():
        np.testing.assert_allclose(array, before[name] - 0.3 * gradients[name], rtol=1e-10)


def options():
    lengths = np.arange(12) % 6 + 1
    state = RNG.standard_normal((1, 12, 5))
    sequences = {"return_sequences": True}
    return {
        "batches": ({}, Y, {"batch_size": 5}),
        "limits": ({}, Y, {"clip_norm": 0.1, "clip_value": 0.05}),
        "penalties": ({}, Y, {"l1": 0.1, "l2": 0.2}),
        "penalties by name": ({}, Y, {"l2": {"Whh": 0.3}}),
        "lengths": ({}, Y, {"lengths": lengths}),
        "weights": ({}, Y, {"sample_weight": lengths}),
        "state": ({}, Y, {"initial_state": state}),
        "mask": (sequences, X[:, :, 0], {"mask": X[:, :, 1] > 0}),
        "classes": ({"loss": "bce"}, Y > 0, {"class_weight": "balanced"}),
        "dropout": ({"dropout": 0.4, "num_layers": 2}, Y, {}),
        "float32": ({}, Y.astype("f4"), {}),
        "threads": ({}, Y, {"batch_size": 6, "n_threads": 2}),
    }


@pytest.mark.parametrize("name", options())
def test_options_mean_what_they_mean_in_fit(name):
    made, y, given = options()[name]
    one, two = model(**made), model(**made)
    with tuned(worth_seconds=0.0 if name == "threads" else 1.0):
        for _ in range(3):
            one.partial_fit(X, y, optimizer="adam", **given)
        two.fit(X, y, epochs=3, optimizer="adam", **{**WHOLE, **given})
    np.testing.assert_array_equal(flat(one), flat(two))


def test_tokens_and_lists():
    words = [RNG.integers(0, 9, n) for n in (3, 1, 5)]
    labels = [RNG.integers(0, 4, len(word)) for word in words]
    made = {"embedding_size": 3, "return_sequences": True, "loss": "cross_entropy"}
    one = GRU(9, 5, 4, seed=1, **made)
    two = GRU(9, 5, 4, seed=1, **made)
    losses = [one.partial_fit(words, labels, learning_rate=0.5) for _ in range(2)]
    history = two.fit(words, labels, epochs=2, learning_rate=0.5, **WHOLE)
    np.testing.assert_array_equal(flat(one), flat(two))
    np.testing.assert_allclose(losses, history.loss, rtol=1e-6)


def test_shapes_and_options_may_change_from_call_to_call():
    """The prepared call of one shape and one setting is not taken for another."""
    one, two = model(), model()
    drawn = np.random.default_rng(5)
    for _ in range(25):
        n, T = drawn.integers(1, 5), drawn.integers(1, 7)
        given = {
            "learning_rate": float(drawn.choice([0.1, 0.01])),
            "l2": drawn.choice([None, 0.1]),
            "clip_norm": drawn.choice([None, 0.1]),
            "batch_size": drawn.choice([None, 2]),
        }
        x, y = X[:n, :T], Y[:n]
        one.partial_fit(x, y, **given)
        fresh = pickle.loads(pickle.dumps(two))  # has nothing prepared
        fresh.partial_fit(x.tolist(), y.tolist(), **given)
        two = fresh
        np.testing.assert_array_equal(flat(one), flat(two))


def test_what_a_dict_holds_may_change():
    penalties = {"Whh": 0.1}
    one, two = model(), model()
    one.partial_fit(X, Y, l2=penalties)
    penalties["Whh"] = 0.5
    one.partial_fit(X, Y, l2=penalties)
    two.partial_fit(X, Y, l2={"Whh": 0.1})
    two.partial_fit(X, Y, l2={"Whh": 0.5})
    np.testing.assert_array_equal(flat(one), flat(two))


def test_backward_notices():
    m, other = model(SimpleRNN, loss="bce"), model(SimpleRNN, loss="bce")
    for each in (m, other):
        each.forward(X[0])
    m.partial_fit(X, Y > 0, learning_rate=0.5)
    other.Whh = m.Whh
    for name, array in m.parameters.items():
        setattr(other, name, array)
    m.backward(1.0)
    other.backward(1.0)
    np.testing.assert_array_equal(flat(m), flat(other))


def test_wrong_data_change_nothing():
    m = model(dropout=0.3, num_layers=2)
    m.partial_fit(X, Y, optimizer="adam")
    before, drawn = state_of(m), str(m._generator.bit_generator.state)
    wrong = X.copy()
    wrong[3, 2, 1] = np.nan
    for x, y, message in (
        (wrong, Y, r"X\[3, 2, 1\] = nan is not finite"),
        (X[:, :, :1], Y, "X must have shape"),
        (X, Y[:3], "y must have shape"),
        (X, None, "y must be the targets"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            m.partial_fit(x, y, optimizer="adam")
    assert_same_bits(state_of(m), before)
    assert str(m._generator.bit_generator.state) == drawn


# ---------------------------------------------------------------------------------------- states


@pytest.mark.parametrize("kind", CELLS.values(), ids=CELLS)
def test_the_state_is_that_before_the_update(kind):
    m = model(kind, num_layers=2)
    before = copy.copy(m)
    _, first = m.partial_fit(X[:, :3], Y, return_state=True)
    _, wanted = before.decision_function(X[:, :3], return_state=True)
    assert_same_bits(np.atleast_3d(first), np.atleast_3d(wanted))
    moved = copy.copy(m)
    loss, _ = m.partial_fit(X[:, 3:], Y, initial_state=first, return_state=True)
    assert loss == pytest.approx(moved.evaluate(X[:, 3:], Y, initial_state=first)["loss"], rel=1e-6)


def test_a_stream_in_chunks_is_truncated_back_propagation():
    """With a rate of 0 chunks have the losses of the whole."""
    m = model(return_sequences=True, dtype="f8")
    y, state, losses = X[:, :, 0], None, []
    for t in range(0, 6, 2):
        loss, state = m.partial_fit(
            X[:, t : t + 2],
            y[:, t : t + 2],
            initial_state=state,
            return_state=True,
            learning_rate=0.0,
        )
        losses.append(loss)
    assert np.mean(losses) == pytest.approx(m.evaluate(X, y)["loss"], rel=1e-12)


# ------------------------------------------------------------------------- the optimizer's state


@pytest.mark.parametrize("optimizer", ["adam", SGD(momentum=0.9)], ids=str)
@pytest.mark.parametrize("kind", CELLS.values(), ids=CELLS)
def test_8_and_8_epochs_are_16(kind, optimizer):
    one, two = model(kind), model(kind)
    settings = {**WHOLE, "batch_size": 5, "optimizer": optimizer}
    whole = one.fit(X, Y, epochs=16, **settings)
    halves = [two.fit(X, Y, epochs=8, keep_optimizer=True, **settings) for _ in range(2)]
    np.testing.assert_array_equal(flat(one), flat(two))
    assert whole.loss == halves[0].loss + halves[1].loss


def test_streams_go_on_as_well():
    items = [(X[i : i + 1], Y[i : i + 1]) for i in range(12)]
    one, two = model(), model()
    settings = {"optimizer": "adam", "verbose": False}
    one.fit_stream(items, epochs=3, **settings)
    two.fit_stream(items, epochs=1, **settings)
    two.fit(X, Y, epochs=1, keep_optimizer=True, shuffle=False, batch_size=1, **settings)
    for x, y in items:
        two.partial_fit(x, y, optimizer=Adam())
    np.testing.assert_array_equal(flat(one), flat(two))
    two.fit_stream(items, keep_optimizer=True, **settings)
    one.fit_stream(items, **settings)
    assert (flat(one) != flat(two)).any()  # which starts at zero, as before


def test_another_optimizer_starts_at_zero():
    one, two = model(), model()
    one.partial_fit(X, Y, optimizer="adam")
    one.partial_fit(X, Y, optimizer=Adam(beta1=0.8))
    two.partial_fit(X, Y, optimizer="adam")
    two.fit(X, Y, epochs=1, optimizer=Adam(beta1=0.8), **WHOLE)
    np.testing.assert_array_equal(flat(one), flat(two))
    for m in (one, two):  # limits and penalties may change
        m.partial_fit(X, Y, optimizer=Adam(beta1=0.8), clip_norm=0.1, l2=0.1)
    np.testing.assert_array_equal(flat(one), flat(two))
    assert one._updates.kept.descent.knobs[0] == 2


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_starts_at_zero_and_is_apart(way):
    m, wanted = model(), model()
    m.partial_fit(X, Y, optimizer="adam")
    other = way(m)
    state = state_of(m)
    for name, array in m.parameters.items():
        setattr(wanted, name, array)
    other.partial_fit(X, Y, optimizer="adam")
    wanted.fit(X, Y, epochs=1, optimizer="adam", **WHOLE)
    np.testing.assert_array_equal(flat(other), flat(wanted))
    assert_same_bits(state_of(m), state)


def test_a_file_does_not_have_it(tmp_path):
    m = model()
    m.partial_fit(X, Y, optimizer="adam")
    m.save(tmp_path / "m")
    other = rnn_fast.load(tmp_path / "m")
    np.testing.assert_array_equal(flat(other), flat(m))
    assert other._updates.kept is None


def test_callbacks_have_an_optimizer_of_their_own():
    def again(m, history):
        m.partial_fit(X, Y, optimizer="adam", learning_rate=0.0)

    one, two = model(), model()
    for m, callbacks in ((one, [again]), (two, [])):
        m.fit(X, Y, epochs=3, optimizer="adam", callbacks=callbacks, **WHOLE)
        m.partial_fit(X, Y, optimizer="adam")
    np.testing.assert_array_equal(flat(one), flat(two))


def test_best_parameters_have_no_state():
    one, two = model(), model()
    settings = {**WHOLE, "optimizer": "adam", "learning_rate": 0.5}
    one.fit(X, Y, epochs=9, early_stopping=2, **settings)
    for name, array in one.parameters.items():
        setattr(two, name, array)
    one.fit(X, Y, epochs=2, keep_optimizer=True, **settings)
    two.fit(X, Y, epochs=2, **settings)
    np.testing.assert_array_equal(flat(one), flat(two))


def test_resuming_goes_on_from_the_checkpoint(tmp_path):
    """The state in a checkpoint counts, whatever the model has."""

    def stop(m, history):
        if len(history) == 3:
            raise KeyboardInterrupt

    settings = {**WHOLE, "optimizer": "adam", "keep_optimizer": True, "epochs": 6}
    one, two, three = model(), model(), model()
    for m in (one, two):
        m.fit(X, Y, **settings)
    whole = one.fit(X, Y, **settings)
    with pytest.raises(KeyboardInterrupt):
        two.fit(X, Y, checkpoint=tmp_path / "c", callbacks=[stop], **settings)
    three.partial_fit(X, Y, optimizer="adam")
    for m in (two, three):
        history = m.fit(X, Y, checkpoint=tmp_path / "c", resume=True, **settings)
        assert history.loss == whole.loss
        np.testing.assert_array_equal(flat(m), flat(one))
        assert_same_bits(state_of(m), state_of(one))


# ------------------------------------------------------------------------ divergence, interrupts


@pytest.mark.parametrize("rows", [slice(0, 1), slice(0, 12)], ids=["one", "many"])
def test_divergence_puts_everything_back(rows):
    m = model(SimpleRNN, nonlinearity="relu")
    for _ in range(3):
        m.partial_fit(X, Y, optimizer="adam")
    before, loss = state_of(m), m.evaluate(X, Y)
    settings = {"optimizer": "adam", "learning_rate": 1e38, "batch_size": 1}
    with pytest.raises(DivergedError, match=r"smaller than 1e\+38"):
        for _ in range(3):
            last = state_of(m)
            m.partial_fit(X[rows] * 1e3, Y[rows], **settings)
    assert_same_bits(state_of(m), last)
    assert np.isfinite(flat(m)).all()
    if rows.stop == 12:
        assert_same_bits(last, before)
        assert m.evaluate(X, Y) == loss


def test_the_gradient_of_an_embedding_is_put_back():
    one, two = (GRU(9, 5, seed=1, embedding_size=3, loss="mse", dtype="f8") for _ in range(2))
    words = RNG.integers(0, 9, (4, 3))
    wild = {"y": np.full(4, 1e200), "optimizer": "adam"}
    with pytest.raises(DivergedError):
        one.partial_fit(words, **wild)
    for m in (one, two):
        m.partial_fit(words, Y[:4], optimizer="adam")
    np.testing.assert_array_equal(flat(one), flat(two))


@pytest.mark.parametrize("diverges", [False, True])
def test_interrupted_anywhere_all_belongs_together(diverges):
    m = model(SimpleRNN, nonlinearity="relu")
    m.partial_fit(X, Y, optimizer="adam")
    begun, rate = state_of(m), 1e38 if diverges else 0.01
    parameters = m._flat.copy()

    def update(moments):
        """Interrupt an update from the same start; return the number of lines and the end."""
        descent = m._updates.kept.descent
        m._flat[:], descent.moments[:], descent.knobs[:] = parameters, *begun[1:]
        with contextlib.suppress(KeyboardInterrupt):
            with Interrupter(moments) as interrupter:
                try:
                    m.partial_fit(X, Y, optimizer="adam", learning_rate=rate)
                except DivergedError:
                    assert diverges
        return interrupter.n, state_of(m)

    update({})  # which prepares more than the next
    n, end = update({})
    if diverges:
        assert_same_bits(end, begun)
    for moment in range(1, n):
        found = update({moment: KeyboardInterrupt})[1]
        assert any(same_bits(found, wanted) for wanted in (begun, end)), moment
    assert same_bits(update({})[1], end)


def test_an_interrupted_fit_leaves_a_state_that_goes_on():
    def stop(m, history):
        if len(history) == 3:
            raise KeyboardInterrupt

    one, two = model(), model()
    settings = {**WHOLE, "optimizer": "adam"}
    with pytest.raises(KeyboardInterrupt):
        one.fit(X, Y, epochs=9, callbacks=[stop], **settings)
    one.fit(X, Y, epochs=2, keep_optimizer=True, **settings)
    two.fit(X, Y, epochs=5, **settings)
    np.testing.assert_array_equal(flat(one), flat(two))


def test_after_a_divergence_of_fit_the_optimizer_starts_at_zero():
    one, two = model(SimpleRNN, nonlinearity="relu"), model(SimpleRNN, nonlinearity="relu")
    settings = {**WHOLE, "optimizer": "adam"}
    with pytest.raises(DivergedError):
        one.fit(X, Y, epochs=5, learning_rate=1e38, **settings)
    for name, array in one.parameters.items():
        setattr(two, name, array)
    one.fit(X, Y, epochs=2, keep_optimizer=True, **settings)
    two.fit(X, Y, epochs=2, **settings)
    np.testing.assert_array_equal(flat(one), flat(two))
