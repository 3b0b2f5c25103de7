"""The model class: architecture, parameters, predictions, gradients, copies."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
import reference

import rnn_fast
from rnn_fast import GRU, LSTM, SGD, SimpleRNN
from rnn_fast.tuning import TUNING

RNG = np.random.default_rng(0)
CASES = [("bce", 1), ("bce", 3), ("cross_entropy", 2), ("cross_entropy", 5), ("mse", 1), ("mse", 3)]


def model(loss="bce", O=1, **settings):
    return SimpleRNN(3, 8, O, **{"loss": loss, "seed": 0, **settings})


def data(loss, O, N=20):
    X = RNG.standard_normal((N, 6, 3))
    y = RNG.integers(0, O, N) if loss == "cross_entropy" else RNG.uniform(0, 1, (N, O))
    return X, y


def oracle(m, X):
    """Logits, step by step as in the docstring."""
    h = np.zeros((len(X), m.hidden_size))
    f = np.tanh if m.nonlinearity == "tanh" else lambda a: np.maximum(a, 0)
    for t in range(X.shape[1]):
        h = f(X[:, t] @ m.Wxh.T + h @ m.Whh.T + m.bh)
    return h @ m.Why.T + m.by


# ------------------------------------------------------------------------------ architecture


def test_attributes():
    m = SimpleRNN(3, 8, 2, nonlinearity="relu", loss="mse", dtype="float64", learning_rate=0.5)
    assert (m.input_size, m.hidden_size, m.output_size) == (3, 8, 2)
    assert (m.nonlinearity, m.loss, m.dtype, m.learning_rate) == ("relu", "mse", np.float64, 0.5)
    for name in ("input_size", "hidden_size", "output_size", "loss", "dtype", "nonlinearity"):
        with pytest.raises(AttributeError):
            setattr(m, name, getattr(m, name))


def test_repr():
    assert repr(SimpleRNN(1, 32)) == (
        "<SimpleRNN(input_size=1, hidden_size=32, output_size=1, loss='bce', dtype='float32', "
        "learning_rate=0.01, nonlinearity='tanh') with 1121 parameters>"
    )


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"input_size": 0}, ValueError, "input_size must be at least 1; got 0"),
        ({"input_size": 1.0}, TypeError, "input_size must be an integer"),
        ({"hidden_size": -3}, ValueError, "hidden_size must be at least 1"),
        ({"hidden_size": "8"}, TypeError, "hidden_size must be an integer"),
        ({"output_size": 0}, ValueError, "output_size for bce must be at least 1"),
        ({"loss": "cross_entropy"}, ValueError, "output_size for cross_entropy must be at least 2"),
        ({"loss": "hinge"}, ValueError, "loss must be one of 'bce', 'cross_entropy', 'mse'"),
        ({"loss": None}, TypeError, "loss must be a string"),
        ({"nonlinearity": "sin"}, ValueError, "nonlinearity must be one of 'tanh', 'relu'"),
        ({"dtype": "float16"}, ValueError, "dtype must be float32 or float64"),
        ({"dtype": None}, TypeError, "dtype must be float32 or float64"),
        ({"seed": -1}, ValueError, "seed must be what numpy"),
        ({"learning_rate": np.inf}, ValueError, "learning_rate must be finite"),
        ({"learning_rate": True}, TypeError, "learning_rate must be a real number"),
    ],
    ids=str,
)
def test_bad_arguments(settings, error, message):
    with pytest.raises(error, match=f"^{message}"):
        SimpleRNN(**{"input_size": 1, "hidden_size": 2, **settings})


def test_learning_rate_is_checked_when_set():
    m = model()
    with pytest.raises(ValueError, match="^learning_rate must be"):
        m.learning_rate = -1
    assert m.learning_rate == 0.01


# -------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters(dtype):
    m = model(O=2, dtype=dtype)
    shapes = {name: array.shape for name, array in m.parameters.items()}
    assert shapes == {"Wxh": (8, 3), "Whh": (8, 8), "bh": (8,), "Why": (2, 8), "by": (2,)}
    assert all(array.dtype == dtype for array in m.parameters.values())
    assert all(np.shares_memory(getattr(m, name), m.parameters[name]) for name in shapes)


def test_writing_to_a_view_and_assigning_reach_the_computation():
    X, _ = data("bce", 1)
    m = model(dtype="f8")
    m.Whh[...] = RNG.standard_normal((8, 8))
    m.parameters["by"][0] = 3
    m.Wxh = RNG.standard_normal((8, 3)).astype("f4")[:, ::-1]
    m.bh = np.arange(8)[:, None]
    m.Why -= 0.25
    assert m.bh.tolist() == list(range(8)) and m.by == 3
    np.testing.assert_allclose(m.decision_function(X), oracle(m, X)[:, 0], rtol=1e-12)


def test_assigning_copies():
    m = model()
    value = np.ones((8, 8), m.dtype)
    view = m.Whh
    m.Whh = value
    value[...] = 2
    assert (view == 1).all() and view is not value


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("Whh", np.ones((8, 7)), ValueError),
        ("Whh", 1.0, ValueError),
        ("Whh", np.ones(64), ValueError),
        ("bh", np.ones((1, 8)), ValueError),
        ("bh", np.ones(7), ValueError),
        ("by", 1.0, ValueError),
        ("Why", np.full((1, 8), np.nan), ValueError),
        ("Why", np.full((1, 8), 1e39), ValueError),
        ("Why", np.ones((1, 8), complex), TypeError),
        ("Why", [["a"] * 8], TypeError),
        ("Why", None, TypeError),
    ],
)
def test_bad_assignments_change_nothing(name, value, error):
    m = model()
    before = getattr(m, name).copy()
    with pytest.raises(error, match=f"^{name}"):
        setattr(m, name, value)
    np.testing.assert_array_equal(getattr(m, name), before)


def test_parameters_cannot_be_deleted_or_swapped():
    m = model()
    with pytest.raises(AttributeError):
        del m.Whh
    m.parameters["Whh"] = None
    assert m.Whh.shape == (8, 8)


# ------------------------------------------------------------------------------- predictions


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize(("loss", "O"), CASES)
def test_predictions(loss, O, nonlinearity, dtype):
    m = model(loss, O, nonlinearity=nonlinearity, dtype=dtype)
    X, _ = data(loss, O)
    logits = oracle(m, X)
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == "f4" else {"rtol": 1e-11, "atol": 1e-13}
    shape = (20,) if O == 1 else (20, O)
    decision = m.decision_function(X)
    assert decision.shape == shape and decision.dtype == dtype
    np.testing.assert_allclose(decision.reshape(20, O), logits, **close)
    predicted = m.predict(X)
    if loss == "mse":
        np.testing.assert_array_equal(predicted, decision)
        with pytest.raises(ValueError, match="^predict_proba needs"):
            m.predict_proba(X)
        return
    probability = m.predict_proba(X)
    assert probability.shape == shape and probability.dtype == dtype
    assert predicted.dtype == np.int64
    if loss == "bce":
        np.testing.assert_allclose(probability.reshape(20, O), 1 / (1 + np.exp(-logits)), **close)
        np.testing.assert_array_equal(predicted, decision > 0)
    else:
        np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(predicted, probability.argmax(axis=1))


@pytest.mark.parametrize(("loss", "O"), CASES)
def test_a_sample_is_predicted_the_same_in_any_company(loss, O):
    m = model(loss, O)
    X, _ = data(loss, O, 50)
    method = m.predict if loss == "mse" else m.predict_proba
    together = method(X)
    for start, stop in [(0, 1), (7, 8), (3, 20), (49, 50)]:
        np.testing.assert_array_equal(method(X[start:stop]), together[start:stop])


@pytest.mark.parametrize(("loss", "O"), CASES)
def test_evaluate_and_loss_and_gradients_agree(loss, O):
    m = model(loss, O, dtype="f8")
    X, y = data(loss, O)
    measures = m.evaluate(X, y)
    assert set(measures) == ({"loss", "mse", "r2"} if loss == "mse" else {"loss", "accuracy"})
    value, gradients = m.loss_and_gradients(X, y)
    assert type(value) is float and value == pytest.approx(measures["loss"], rel=1e-12)
    assert {n: g.shape for n, g in gradients.items()} == {
        n: p.shape for n, p in m.parameters.items()
    }
    if loss != "mse":
        truth = y if loss == "cross_entropy" else (y > 0.5).reshape(m.predict(X).shape)
        right = (m.predict(X) == truth).reshape(20, -1).all(axis=1)
        assert measures["accuracy"] == right.mean()


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize(("loss", "O"), CASES)
def test_gradients_are_those_of_the_loss(loss, O, nonlinearity):
    """By central differences along a random direction in each parameter."""
    m = model(loss, O, nonlinearity=nonlinearity, dtype="f8")
    X, y = data(loss, O)
    _, gradients = m.loss_and_gradients(X, y)
    for name, array in m.parameters.items():
        start = array.copy()
        along = RNG.standard_normal(array.shape)
        values = []
        for step in (1e-6, -1e-6):
            array[...] = start + step * along
            values.append(m.loss_and_gradients(X, y)[0])
        array[...] = start
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx(float((gradients[name] * along).sum()), rel=1e-5, abs=1e-8)


def test_gradients_are_fresh_and_change_nothing():
    m = model()
    X, y = data("bce", 1)
    before = m._flat.copy()
    first = m.loss_and_gradients(X, y)[1]
    kept = {name: g.copy() for name, g in first.items()}
    m.loss_and_gradients(-X, y)
    for name, g in first.items():
        np.testing.assert_array_equal(g, kept[name])
        assert g.flags.owndata and g.flags.c_contiguous
    np.testing.assert_array_equal(m._flat, before)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_bad_data_in_predictions(method):
    m, call = model(), None
    call = getattr(m, method)
    X = np.zeros((4, 6, 3))
    X[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"^X\[3, 2, 1\] = nan is not finite"):
        call(X)
    assert len(call(X, check_finite=False)) == 4
    with pytest.raises(ValueError, match=r"^X must have shape \(N, T, 3\)"):
        call(X[0])
    with pytest.raises(TypeError, match="^X must hold real numbers"):
        call(X + 1j)


def test_bad_data_in_measurements():
    m = model()
    for call in (m.evaluate, m.loss_and_gradients):
        with pytest.raises(ValueError, match=r"^y must have shape \(4,\)"):
            call(np.zeros((4, 6, 3)), np.zeros(5))
        with pytest.raises(ValueError, match=r"^y\[1\] = nan is not finite"):
            call(np.zeros((2, 6, 3)), [0, np.nan])
        call(np.zeros((2, 6, 3)), [0, 1], check_finite=False)


def test_inputs_are_left_alone():
    m = model(dtype="f4")
    for dtype in ("f4", "f8"):
        X, y = (a.astype(dtype) for a in data("bce", 1))
        kept = X.copy(), y.copy()
        X.flags.writeable = y.flags.writeable = False
        m.fit(X, y, epochs=1, validation_data=(X, y))
        m.evaluate(X, y)
        m.loss_and_gradients(X, y)
        m.predict(X)
        m.forward(X[0])
        m.backward(y[0])
        assert (kept[0] == X).all() and (kept[1] == y).all()


@pytest.mark.parametrize(("loss", "O"), CASES)
def test_it_learns(loss, O):
    X = RNG.standard_normal((400, 6, 3))
    score = X.sum((1, 2))
    y = {
        "bce": np.stack([score > 0] * O, axis=1),
        "cross_entropy": np.digitize(score, np.linspace(-4, 4, O - 1)),
        "mse": np.stack([np.tanh(score)] * O, axis=1),
    }[loss]
    m = SimpleRNN(3, 16, O, loss=loss, seed=0)
    before = m.evaluate(X, y)["loss"]
    h = m.fit(X, y, epochs=20, batch_size=10, learning_rate=0.1, optimizer=SGD(momentum=0.5))
    assert m.evaluate(X, y)["loss"] < 0.6 * before
    assert h.loss[-1] < h.loss[0]


# --------------------------------------------------------------------------- copies, threads


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(way):
    X, y = data("bce", 1)
    one = model()
    one.fit(X, y, epochs=1)
    one.forward(X[0])
    two = way(one)
    assert repr(two) == repr(one) and two._flat.ctypes.data % 64 == 0
    np.testing.assert_array_equal(two.predict_proba(X), one.predict_proba(X))
    two.bh += 1
    assert not np.shares_memory(one.bh, two.bh) and (one.bh != two.bh).all()


@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_go_on_alike(way):
    X, y = data("bce", 1)
    one = model()
    two = way(one)
    for m in (one, two):
        m.fit(X, y, epochs=2, batch_size=3)
    np.testing.assert_array_equal(one._flat, two._flat)


def test_a_model_per_thread():
    X, y = data("bce", 1, 200)
    alone = model(seed=5)
    alone.fit(X, y, epochs=3)
    models = [model(seed=5) for _ in range(3)]
    threads = [threading.Thread(target=m.fit, args=(X, y), kwargs={"epochs": 3}) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for m in models:
        np.testing.assert_array_equal(m._flat, alone._flat)


def test_public_names():
    assert all(hasattr(rnn_fast, name) for name in rnn_fast.__all__)
    assert rnn_fast.__version__.count(".") == 2


# ------------------------------------------------------------------------- GRU, LSTM and the rest

KINDS = {
    "rnn": lambda **o: SimpleRNN(3, 5, **o),
    "gru": lambda **o: GRU(3, 5, **o),
    "gru before": lambda **o: GRU(3, 5, reset_after=False, **o),
    "lstm": lambda **o: LSTM(3, 5, **o),
    "lstm peepholes": lambda **o: LSTM(3, 5, peepholes=True, **o),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
LENGTHS = np.array([6, 1, 4, 6, 3])


def some(kind, **options):
    m = KINDS[kind](**{"loss": "mse", "dtype": "f8", "seed": 0, **options})
    for view in m.parameters.values():
        view[...] = RNG.standard_normal(view.shape) / 2
    return m


@every_kind
def test_a_model_equals_the_textbook(kind):
    m = some(kind, num_layers=2, bidirectional=True, return_sequences=True, output_size=2)
    X, y = RNG.standard_normal((5, 6, 3)), RNG.standard_normal((5, 6, 2))
    weight = RNG.random((5, 6))
    lists = [[a[:n] for a, n in zip(v, LENGTHS, strict=True)] for v in (X, y, weight)]
    wanted = reference.run(m._net, m.parameters, *lists)
    loss, found = m.loss_and_gradients(X, y, lengths=LENGTHS, sample_weight=weight)
    assert loss == pytest.approx(wanted.loss, rel=1e-12)
    for name, gradient in wanted.gradients.items():
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=1e-13)
    padded = m.predict(X, lengths=LENGTHS)
    listed = m.predict(lists[0])
    for k, n in enumerate(LENGTHS):
        np.testing.assert_allclose(padded[k, :n], wanted.outputs[k], rtol=0, atol=1e-13)
        np.testing.assert_array_equal(listed[k], padded[k, :n])
        assert not padded[k, n:].any()
    measured = m.evaluate(X, y, lengths=LENGTHS, sample_weight=weight)
    assert measured["loss"] == pytest.approx(wanted.loss, rel=1e-12)
    assert m.evaluate(*lists[:2], sample_weight=lists[2]) == pytest.approx(measured)


@every_kind
def test_gradients_by_input_and_initial_state(kind):
    m = some(kind, num_layers=2)
    X, y = RNG.standard_normal((5, 6, 3)), RNG.standard_normal(5)
    state = RNG.standard_normal((m._net.states, 2, 5, 5))
    given = tuple(state) if m.cell == "lstm" else state[0]
    _, found = m.loss_and_gradients(X, y, initial_state=given, input_gradients=True)
    wanted = reference.run(
        m._net, m.parameters, list(X), list(y[:, None]), None, state.transpose(2, 0, 1, 3)
    )
    np.testing.assert_allclose(found["X"], np.array(wanted.dx), rtol=0, atol=1e-13)
    back = np.array(found["initial_state"]).reshape(state.shape)
    np.testing.assert_allclose(back.transpose(2, 0, 1, 3), wanted.dstate, rtol=0, atol=1e-13)
    parts = m.loss_and_gradients(list(X), y, initial_state=given, input_gradients=True)[1]["X"]
    np.testing.assert_array_equal(np.array(parts), found["X"])


@pytest.mark.parametrize("sequences", [True, False])
@every_kind
def test_long_sequences_are_predicted_in_windows_of_the_same_bits(kind, sequences, monkeypatch):
    m = some(kind, return_sequences=sequences, learn_initial_state=True, num_layers=2, dtype="f4")
    X, lengths = RNG.standard_normal((4, 30, 3)), np.array([30, 7, 1, 22])
    whole, end = m.predict(X, lengths=lengths, return_state=True)
    monkeypatch.setattr(TUNING, "predict_steps", 7)
    for options in ({}, {"return_state": True}):
        out = m.predict(X, lengths=lengths, **options)
        if options:
            out, state = out
            np.testing.assert_array_equal(np.array(state), np.array(end))
        np.testing.assert_array_equal(out, whole)


@pytest.mark.parametrize("sequences", [True, False])
@every_kind
def test_a_stream_in_chunks_has_the_bits_of_the_whole(kind, sequences):
    m = some(kind, return_sequences=sequences, dtype="f4")
    X = RNG.standard_normal((4, 30, 3))
    whole, end = m.predict(X, return_state=True)
    state, parts = None, []
    for chunk in np.split(X, [1, 7, 29], axis=1):
        out, state = m.predict(chunk, initial_state=state, return_state=True)
        parts.append(out)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1) if sequences else parts[-1], whole)
    np.testing.assert_array_equal(np.array(state), np.array(end))


@every_kind
def test_save_load_copy_and_pickle_keep_everything(kind, tmp_path):
    options = dict(num_layers=2, bidirectional=True, return_sequences=True)
    m = some(kind, learn_initial_state=True, dropout=0.25, **options)
    m.save(tmp_path / "model")
    X = RNG.standard_normal((3, 4, 3))
    for again in (
        rnn_fast.load(tmp_path / "model"),
        copy.deepcopy(m),
        pickle.loads(pickle.dumps(m)),
    ):
        assert repr(again) == repr(m) and type(again) is type(m)
        np.testing.assert_array_equal(again.predict(X), m.predict(X))
        assert again.dropout == 0.25 and again.learn_initial_state


def test_repr_tells_what_is_not_usual():
    m = LSTM(2, 3, num_layers=2, bidirectional=True, dropout=0.5, peepholes=True)
    assert repr(m).startswith(
        "<LSTM(input_size=2, hidden_size=3, output_size=1, num_layers=2, bidirectional=True, "
        "dropout=0.5, loss='bce', dtype='float32', learning_rate=0.01, peepholes=True) with "
    )


def test_parameters_are_attributes():
    m = GRU(2, 3, num_layers=2, bidirectional=True)
    m.bhn_l1_reverse = [1, 2, 3]
    assert m.parameters["bhn_l1_reverse"].tolist() == [1, 2, 3]
    assert "Whh_l1_reverse" in dir(m)
    with pytest.raises(
        AttributeError, match="^this GRU has no parameter 'Whh_l2'; it has Wxh, Whh"
    ):
        m.Whh_l2 = 0
    with pytest.raises(AttributeError, match="has no attribute 'peephole'"):
        _ = m.peephole
    with pytest.raises(ValueError, match=r"bhn must have shape \(3,\)"):
        m.bhn = [1, 2]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_layers": 0}, ValueError, "num_layers must be at least 1; got 0"),
        ({"bidirectional": 1}, TypeError, "bidirectional must be True or False; got 1"),
        ({"dropout": 1.0}, ValueError, r"dropout must be in \[0, 1\); got 1.0"),
        ({"return_sequences": "no"}, TypeError, "return_sequences must be True or False"),
        ({"learn_initial_state": None}, TypeError, "learn_initial_state must be True or False"),
        ({"embedding_size": 0}, ValueError, "embedding_size must be at least 1; got 0"),
        ({"peepholes": 0}, TypeError, "peepholes must be True or False; got 0"),
        ({"forget_bias": np.nan}, ValueError, "forget_bias must be finite; got nan"),
        ({"forget_bias": "1"}, TypeError, "forget_bias must be a real number; got '1'"),
        ({"loss": "l1"}, ValueError, "loss must be one of 'bce', 'cross_entropy', 'mse', 'huber'"),
    ],
)
def test_wrong_arguments_of_an_lstm(options, error, message):
    with pytest.raises(error, match=f"^{message}"):
        LSTM(2, 3, **options)


def test_what_excludes_what():
    X, y = RNG.standard_normal((4, 5, 3)), RNG.standard_normal(4)
    with pytest.raises(ValueError, match="^bptt is not for bidirectional"):
        some("gru", bidirectional=True).fit(X, y, bptt=2)
    with pytest.raises(ValueError, match="^bptt must be at least 1; got 0"):
        some("gru").fit(X, y, bptt=0)
    m = GRU(9, 5, embedding_size=4)
    with pytest.raises(ValueError, match="^input_gradients: indices have no gradient"):
        m.loss_and_gradients(np.zeros((4, 5), int), (y > 0), input_gradients=True)
    learned = some("lstm", learn_initial_state=True)
    state = (np.zeros((1, 4, 5)), np.ones((1, 4, 5)))
    for call in (learned.fit, learned.loss_and_gradients):
        with pytest.raises(ValueError, match="^initial_state: a model with learn_initial_state"):
            call(X, y, initial_state=state)
    assert (learned.predict(X, initial_state=state) != learned.predict(X)).any()


@pytest.mark.parametrize("embedding", [None, 4])
@pytest.mark.parametrize("sequences", [True, False])
def test_forward_and_backward_of_every_model(sequences, embedding):
    """One sequence or a batch, like a batch of fit."""
    options = dict(return_sequences=sequences, embedding_size=embedding, learning_rate=0.1)
    one, two = some("lstm", **options), some("lstm", **options)
    for name, view in one.parameters.items():
        setattr(two, name, view)
    x = RNG.integers(0, 3, 6) if embedding else RNG.standard_normal((6, 3))
    y = RNG.standard_normal(6) if sequences else RNG.standard_normal()
    out = one.forward(x)
    assert out.shape == ((6, 1) if sequences else (1,)) and out.dtype == np.float64
    np.testing.assert_array_equal(out, one.forward(x[None])[0])
    np.testing.assert_allclose(out[..., 0], one.predict(x[None])[0])
    one.forward(x)
    one.backward(y)
    two.fit(x[None], np.array(y)[None], epochs=1, batch_size=1)
    for name, view in one.parameters.items():
        np.testing.assert_allclose(view, getattr(two, name), rtol=1e-12, atol=1e-14)


def test_dropout_is_drawn_from_the_seed_and_only_in_fit():
    X, y = RNG.standard_normal((30, 5, 3)), RNG.standard_normal(30)

    def fitted(dropout, seed=0, layers=2):
        m = GRU(3, 5, loss="mse", num_layers=layers, dropout=dropout, seed=seed)
        history = m.fit(X, y, epochs=2, batch_size=8)
        return np.concatenate([v.ravel() for v in m.parameters.values()]), history.loss

    np.testing.assert_array_equal(fitted(0.5)[0], fitted(0.5)[0])
    assert fitted(0.5)[1] != fitted(0.0)[1]
    np.testing.assert_array_equal(
        GRU(3, 5, dropout=0.5, seed=1, num_layers=2).predict_proba(X),
        GRU(3, 5, dropout=0.0, seed=1, num_layers=2).predict_proba(X),
    )


def test_balanced_classes_move_the_decision():
    X = RNG.standard_normal((200, 4, 3))
    y = (X.sum((1, 2)) > 3).astype(int)
    plain, balanced = (GRU(3, 5, seed=0) for _ in range(2))
    plain.fit(X, y, epochs=3)
    balanced.fit(X, y, epochs=3, class_weight="balanced")
    assert balanced.predict(X).mean() > plain.predict(X).mean()


# ------------------------------------------------------------------------------- what is learned


def test_a_word_model_touches_the_words_it_has_seen():
    """Sentences of unequal length over a large vocabulary, each word told from those before."""
    rng, V = np.random.default_rng(0), 3000
    words = [rng.integers(0, 40, n) * 7 for n in rng.integers(3, 12, 60)]
    X, y = [w[:-1] for w in words], [w[1:] for w in words]
    m = GRU(V, 12, V, embedding_size=8, return_sequences=True, loss="cross_entropy", seed=0)
    before = m.embedding.copy()
    first = m.evaluate(X, y)["loss"]
    assert first == pytest.approx(np.log(V), rel=0.05)
    m.fit(X, y, epochs=30, batch_size=8, learning_rate=1.0)
    assert m.evaluate(X, y)["loss"] < np.log(40) + 0.2  # that forty of the words occur is learned
    seen = np.unique(np.concatenate(X))
    changed = (m.embedding != before).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(changed), seen)
