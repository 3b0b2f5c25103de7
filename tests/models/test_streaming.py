"""Streams: the bits of `predict`, however steps are cut; states; errors; threads."""

import threading

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, SimpleRNN

pytestmark = pytest.mark.usefixtures("one_tile")
RNG = np.random.default_rng(0)
MODELS = {
    "tanh": lambda **o: SimpleRNN(3, 5, 2, loss="mse", seed=1, return_sequences=True, **o),
    "gru": lambda **o: GRU(3, 17, 1, loss="mse", seed=1, return_sequences=True, **o),
    "gru, reset before": lambda **o: GRU(
        3, 8, 2, loss="mse", seed=1, reset_after=False, num_layers=2, return_sequences=True, **o
    ),
    "lstm": lambda **o: LSTM(3, 16, 2, loss="mse", seed=1, return_sequences=True, **o),
    "peepholes": lambda **o: LSTM(
        3,
        9,
        2,
        loss="mse",
        seed=1,
        peepholes=True,
        learn_initial_state=True,
        return_sequences=True,
        **o,
    ),
}


def test_a_stream_of_a_distribution():
    """The means alone, and rates for logarithms."""
    X = RNG.standard_normal((1, 9, 3))
    for loss in ("gaussian", "poisson", "quantile"):
        model = SimpleRNN(3, 5, 2, loss=loss, seed=1, return_sequences=True, dtype="float64")
        whole = model.predict(X).reshape(9, -1)
        np.testing.assert_allclose(model.stream().run(X)[0], whole, rtol=1e-13)


def in_pieces(stream, X, cuts):
    """Run (batch, T, I) in pieces that end at `cuts`, of one step by `step`."""
    out, first = [], 0
    for end in (*cuts, X.shape[1]):
        piece = X[:, first:end]
        out.append(stream.step(piece[:, 0])[:, None] if end == first + 1 else stream.run(piece))
        first = end
    return np.concatenate(out, axis=1)


@pytest.mark.parametrize(
    ("name", "batch", "dtype"),
    [
        ("tanh", 1, "float64"),
        ("gru, reset before", 1, "float32"),
        ("lstm", 1, "float32"),
        ("peepholes", 1, "float32"),
        ("gru", 40, "float32"),  # `predict` has other lanes and tiles
    ],
)
def test_a_stream_has_the_bits_of_predict_in_any_cutting(name, batch, dtype):
    model = MODELS[name](dtype=dtype)
    X = RNG.standard_normal((batch, 23, 3))
    whole, state = model.predict(X, return_state=True)
    whole = whole.reshape(batch, 23, -1)
    for cuts in ((), (1, 2, 9), range(1, 23)):
        stream = model.stream(batch)
        np.testing.assert_array_equal(in_pieces(stream, X, cuts), whole)
        np.testing.assert_array_equal(stream.state, state)
    stream.reset()
    np.testing.assert_array_equal(stream.run(X), whole)
    stream.state = state
    wanted = model.predict(X, initial_state=state).reshape(whole.shape)
    np.testing.assert_array_equal(stream.run(X), wanted)


def test_more_steps_than_a_window_holds():
    model = MODELS["lstm"]()
    X = RNG.standard_normal((1, 3000, 3))
    np.testing.assert_array_equal(model.stream().run(X), model.predict(X))


def test_one_sequence_needs_no_axis_for_it():
    model = MODELS["lstm"]()
    X = RNG.standard_normal((6, 3)).astype("f4")
    one, batch = model.stream(), model.stream()
    assert one.step(X[0]).shape == (2,) and batch.step(X[:1]).shape == (1, 2)
    np.testing.assert_array_equal(one.run(X[1:]), batch.run(X[None, 1:])[0])
    assert one.run(X[:0]).shape == (0, 2)
    assert one.step([1, 2, 3]).dtype == np.float32
    assert one.step(np.asfortranarray(X)[1]).shape == (2,)


def test_a_model_with_one_output_has_one_after_every_step():
    model = GRU(2, 7, 1, seed=0)
    X = RNG.standard_normal((1, 5, 2))
    outputs = model.stream(output="predict_proba").run(X)
    for t in range(5):
        np.testing.assert_array_equal(outputs[:, t, 0], model.predict_proba(X[:, : t + 1]))
    labels, logits = model.stream().run(X), model.stream(output="decision_function").run(X)
    np.testing.assert_array_equal(labels, (logits > 0).astype(int))


def test_tokens_and_classes():
    model = LSTM(20, 6, 4, loss="cross_entropy", embedding_size=5, return_sequences=True, seed=0)
    X = RNG.integers(0, 20, (1, 9))
    stream = model.stream()
    np.testing.assert_array_equal(stream.run(X)[..., 0], model.predict(X))
    stream.reset()
    assert [stream.step(token)[0] for token in X[0].tolist()] == model.predict(X)[0].tolist()
    before = stream.state
    for wrong in (20, -1, 0.5, "a"):
        with pytest.raises((TypeError, ValueError), match="^x"):
            stream.step(wrong)
    np.testing.assert_array_equal(stream.state, before)


def test_parameters_are_taken_over_when_told():
    model, X = MODELS["gru"](), RNG.standard_normal((1, 4, 3))
    stream, before = model.stream(), model.predict(X)
    model.parameters["Whh"][...] *= 0.5
    np.testing.assert_array_equal(stream.run(X)[..., 0], before)
    stream.reset()
    stream.refresh()
    np.testing.assert_array_equal(stream.run(X)[..., 0], model.predict(X))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e39])
def test_what_is_not_finite_is_refused_and_changes_nothing(wrong):
    stream, X = MODELS["lstm"]().stream(), RNG.standard_normal((5, 3))
    stream.run(X)
    before = stream.state
    with pytest.raises(ValueError, match="^x must be finite numbers in float32$"):
        stream.step([0, wrong, 0])
    X[3, 1] = wrong
    with pytest.raises(ValueError, match="^X must be finite numbers in float32$"):
        stream.run(X)
    np.testing.assert_array_equal(stream.state, before)


def test_errors_name_the_shape():
    model = MODELS["lstm"]()
    with pytest.raises(ValueError, match=r"^x must have shape \(3,\) or \(1, 3\); got \(4,\)"):
        model.stream().step(np.zeros(4))
    with pytest.raises(ValueError, match=r"^X must have shape \(2, T, 3\); got \(5, 3\)"):
        model.stream(2).run(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="^batch must be"):
        model.stream(0)
    with pytest.raises(ValueError, match="^output must be one of predict, .*got 'logits'"):
        model.stream(output="logits")
    with pytest.raises(ValueError, match="^output predict_proba needs"):
        model.stream(output="predict_proba")
    with pytest.raises(ValueError, match="bidirectional"):
        LSTM(2, 3, bidirectional=True).stream()
    stream = model.stream()
    for state in (None, np.zeros((1, 1, 16)), (np.zeros((1, 2, 16)),) * 2):
        with pytest.raises((TypeError, ValueError), match="state"):
            stream.state = state


def test_streams_of_one_model_in_several_threads():
    model, X = MODELS["lstm"](), RNG.standard_normal((4, 400, 3))
    wanted, found = model.predict(X), [None] * 4

    def work(i):
        stream = model.stream()
        found[i] = np.concatenate([stream.run(part) for part in np.split(X[i], 40)])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, wanted)


def test_a_stream_keeps_its_memory_when_the_model_is_gone():
    X = RNG.standard_normal((1, 50, 3))
    model = MODELS["gru"]()
    wanted, stream = model.predict(X), model.stream()
    del model
    np.testing.assert_array_equal(stream.run(X)[..., 0], wanted)
