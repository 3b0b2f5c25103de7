"""Keras models from ours and ours from Keras models: the same numbers come out, both ways."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, LeakyRNN, SimpleRNN, from_keras
from rnn_fast.losses import LOSSES

# Keras 3.15 makes arrays of its variables in a way that NumPy 2 warns of
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
I, H, N, T = 3, 4, 5, 6
TOLERANCE = {"f4": 1e-6, "f8": 1e-12}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def keras():
    """Keras on a backend that is installed; imported by a test, not at collection."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    return pytest.importorskip("keras")


@contextlib.contextmanager
def precise(keras, dtype="f8"):
    """Have Keras compute in float64, which it does on request."""
    if dtype == "f4" or keras.backend.backend() == "tensorflow":
        yield
        return
    if keras.backend.backend() != "jax":
        pytest.skip("this backend of Keras has no float64")
    import jax

    with jax.enable_x64(True):
        yield


def drawn(model):
    """Give a model random parameters, biases too."""
    for view in model.parameters.values():
        view[...] = RNG.standard_normal(view.shape) / 2
    return model


def sequences(model):
    if model.embedding_size:
        return RNG.integers(0, model.input_size, (N, T))
    return RNG.standard_normal((N, T, I)).astype(model.dtype)


def computed(keras, model, x):
    return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(x)))


def check(keras, model):
    """Compare a model with its Keras model, and with what comes back."""
    x, theirs = sequences(model), model.to_keras()
    ours = model.decision_function(x)
    atol = TOLERANCE[model.dtype.str[1:]] * max(1, np.abs(ours).max())
    np.testing.assert_allclose(
        np.reshape(computed(keras, theirs, x), ours.shape), ours, rtol=0, atol=atol
    )
    same(from_keras(theirs, loss=model.loss, loss_options=model.loss_options), model)


def same(model, other):
    assert model.description() == other.description()
    for name, view in other.parameters.items():
        np.testing.assert_array_equal(getattr(model, name), view)


QUICK = {
    "rnn": lambda **o: SimpleRNN(I, H, 2, **o),
    "relu": lambda **o: SimpleRNN(I, H, (2, 3), nonlinearity="relu", bidirectional=True, **o),
    "gru": lambda **o: GRU(I, H, 2, num_layers=2, return_sequences=True, skip=True, **o),
    "both": lambda **o: GRU(I, H, bidirectional=True, num_layers=2, return_sequences=True, **o),
    "lstm": lambda **o: LSTM(7, H, 2, embedding_size=3, learn_initial_state=True, **o),
    "dropout": lambda **o: LSTM(
        I, H, 3, num_layers=2, dropout=0.1, readout_dropout=0.2, input_noise=0.3, **o
    ),
}
#: cells whose programs the tests of cells compile for float64
PRECISE = {
    "both": QUICK["both"],
    "lstm": QUICK["lstm"],
    "before": lambda **o: GRU(I, H, reset_after=False, **o),
    "peepholes": lambda **o: LSTM(I, H, peepholes=True, bidirectional=True, **o),
    "rate": lambda **o: LeakyRNN(I, H, 2, bidirectional=True, learn_alpha=True, **o),
    "membrane": lambda **o: LeakyRNN(I, H, form="membrane", learn_initial_state=True, **o),
}


@pytest.mark.parametrize("name", QUICK)
def test_there_and_back(keras, name):
    check(keras, drawn(QUICK[name](loss="mse")))


@pytest.mark.parametrize("name", PRECISE)
def test_there_and_back_in_float64(keras, name):
    with precise(keras):
        check(keras, drawn(PRECISE[name](loss="mse", dtype="f8")))


@pytest.mark.parametrize(("loss", "shape"), [("gaussian", (N, 2)), ("quantile", (N, T, 3))])
def test_several_logits_of_a_value(keras, loss, shape):
    model = drawn(GRU(I, H, loss=loss, return_sequences=len(shape) == 3))
    assert model.to_keras()(sequences(model)).shape == shape
    check(keras, model)


EVERY = {
    **{f: (SimpleRNN, {"nonlinearity": f}) for f in ("tanh", "relu")},
    **{f"gru {after}": (GRU, {"reset_after": after}) for after in (False, True)},
    **{f"lstm {p}": (LSTM, {"peepholes": p}) for p in (False, True)},
    **{
        f"{form} {learns} {f}": (
            LeakyRNN,
            {"form": form, "learn_alpha": learns, "nonlinearity": f, "alpha": 0.3},
        )
        for form in ("rate", "membrane")
        for learns in (False, True)
        for f in ("tanh", "relu")
    },
}


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", EVERY)
def test_every_option(keras, name, dtype):
    kind, options = EVERY[name]
    flags = [*itertools.product((1, 3), *[(False, True)] * 4)]
    chosen = np.random.default_rng([*EVERY].index(name)).permutation(len(flags))[:6]
    with precise(keras, dtype):
        for layers, both, every, learns, embedded in (flags[place] for place in chosen):
            check(
                keras,
                drawn(
                    kind(
                        I,
                        H,
                        2,
                        num_layers=layers,
                        bidirectional=both,
                        return_sequences=every,
                        learn_initial_state=learns,
                        embedding_size=2 if embedded else None,
                        skip=every and not embedded,
                        loss="mse",
                        dtype=dtype,
                        **options,
                    )
                ),
            )
            keras.utils.clear_session()


@pytest.mark.sweep
@pytest.mark.parametrize("size", [2, (2, 3)])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(keras, loss, size):
    if not LOSSES[loss].takes_classes or size == 2:
        for every in (False, True):
            check(keras, drawn(LSTM(I, H, size, return_sequences=every, loss=loss)))


def test_a_file_holds_all(keras, tmp_path):
    options = {"return_sequences": True, "skip": True, "learn_initial_state": True}
    model = drawn(LeakyRNN(I, H, 2, form="membrane", loss="mse", dtype="f8", **options))
    with precise(keras):
        model.to_keras().save(tmp_path / "model.keras")
        same(from_keras(keras.saving.load_model(tmp_path / "model.keras")), model)


# ----------------------------------------------------------------- models as people write them


def chain(keras, *layers):
    """A model of layers with random weights."""
    model = keras.Sequential([keras.layers.Input((None, I)), *layers])
    model.set_weights([RNG.standard_normal(w.shape) / 2 for w in model.get_weights()])
    return model


WRITTEN = {
    "bce": lambda L: (L.LSTM(4, use_bias=False), L.Dense(1, activation="sigmoid")),
    "cross_entropy": lambda L: (
        L.Bidirectional(L.GRU(4, return_sequences=True), backward_layer=None),
        L.TimeDistributed(L.Dense(5, activation="softmax")),
    ),
    "poisson": lambda L: (L.SimpleRNN(4, activation="relu"), L.Dense(2, activation="exponential")),
    "mse": lambda L: (L.RNN(L.GRUCell(4, use_bias=False)), L.Dense(2, use_bias=False)),
}


@pytest.mark.parametrize("loss", WRITTEN)
def test_the_head_says_the_loss(keras, loss):
    theirs = chain(keras, *WRITTEN[loss](keras.layers))
    model = from_keras(theirs, seed=0)
    assert model.loss == loss
    x = sequences(model)
    ours = LOSSES[loss].activation(model.decision_function(x))
    np.testing.assert_allclose(
        np.reshape(computed(keras, theirs, x), ours.shape), ours, rtol=0, atol=1e-6
    )


def test_a_linear_head_has_the_loss_that_is_given(keras):
    layers = keras.layers.GRU(4), keras.layers.Dense(4)
    chain(keras, *layers)
    assert from_keras(layers, loss="bce").loss == "bce"
    model = from_keras(list(layers), loss="gaussian")
    assert (model.loss, model.output_size) == ("gaussian", 2)


def test_models_in_models_and_classes(keras):
    layers = keras.layers.LSTM(4, return_sequences=True), keras.layers.LSTM(4)
    inner = chain(keras, *layers)

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.head = inner, keras.layers.Dense(2)

        def call(self, x):
            return self.head(self.inner(x)) * self.factor

    net = Net()
    net.factor = 1.0
    net(np.zeros((1, 2, I)))
    assert from_keras(net).num_layers == 2
    net.factor = 2.0
    with pytest.raises(ValueError, match="^model: Net does more than its layers: it differs from"):
        from_keras(net)


REFUSED = {
    "layer 'm' is a Masking, which models do not have": lambda L: (
        L.Masking(name="m"),
        L.LSTM(4),
        L.Dense(1),
    ),
    "layer 'n' is a LayerNormalization": lambda L: (
        L.LSTM(4),
        L.LayerNormalization(name="n"),
        L.Dense(1),
    ),
    "a model is .* got LSTM, Dense, Dense$": lambda L: (L.LSTM(4), L.Dense(1), L.Dense(1)),
    "a model is .* got Dropout, LSTM, Dense$": lambda L: (L.Dropout(0.1), L.LSTM(4), L.Dense(1)),
    "layer 'r' has stateful=True": lambda L: (L.LSTM(4, stateful=True, name="r"), L.Dense(1)),
    "layer 'r' has go_backwards=True": lambda L: (
        L.GRU(4, go_backwards=True, name="r"),
        L.Dense(1),
    ),
    "layer 'r' has dropout=0.1, with one mask": lambda L: (
        L.LSTM(4, dropout=0.1, name="r"),
        L.Dense(1),
    ),
    "layer 'r' has recurrent_dropout=0.1": lambda L: (
        L.GRU(4, recurrent_dropout=0.1, name="r"),
        L.Dense(1),
    ),
    "layer 'r' has recurrent_activation=hard_sigmoid; models have sigmoid": lambda L: (
        L.LSTM(4, recurrent_activation="hard_sigmoid", name="r"),
        L.Dense(1),
    ),
    "nonlinearity must be one of .*; got 'elu'": lambda L: (
        L.SimpleRNN(4, activation="elu"),
        L.Dense(1),
    ),
    "layer 'b' has merge_mode='sum'": lambda L: (
        L.Bidirectional(L.LSTM(4), merge_mode="sum", name="b"),
        L.Dense(1),
    ),
    "recurrent layers must be of one kind, with the same options, units": lambda L: (
        L.LSTM(4, return_sequences=True),
        L.LSTM(5),
        L.Dense(1),
    ),
    "layer 'r' has a StackedRNNCells": lambda L: (
        L.RNN(L.StackedRNNCells([L.LSTMCell(4)]), name="r"),
        L.Dense(1),
    ),
    "layer 'h' has activation=tanh; a head has linear, ": lambda L: (
        L.LSTM(4),
        L.Dense(1, activation="tanh", name="h"),
    ),
    "layer 'h' is frozen": lambda L: (L.LSTM(4), L.Dense(1, trainable=False, name="h")),
    "models have one rate of dropout between all layers; got .0.1, 0.0.": lambda L: (
        L.LSTM(4, return_sequences=True),
        L.Dropout(0.1),
        L.LSTM(4, return_sequences=True),
        L.LSTM(4),
        L.Dense(1),
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_models_do_not_have_is_refused(keras, message):
    layers = REFUSED[message](keras.layers)
    model = keras.Sequential([keras.layers.Input((2, I), batch_size=2), *layers])
    with pytest.raises(ValueError, match=f"^{message}"):
        from_keras(model)


def test_errors(keras):
    L = keras.layers
    with pytest.raises(TypeError, match="^model must be a keras.Model or a list of .* got int$"):
        from_keras(3)
    with pytest.raises(ValueError, match="^layer 'r' has no weights yet"):
        from_keras([L.LSTM(4, name="r"), L.Dense(1)])
    model = chain(keras, L.LSTM(4), L.Dense(2, activation="softmax"))
    with pytest.raises(ValueError, match="activation=softmax has loss cross_entropy; got 'mse'"):
        from_keras(model, loss="mse")
    words = keras.Sequential([L.Input((None,)), L.Embedding(9, I, mask_zero=True, name="e")])
    with pytest.raises(ValueError, match="^layer 'e' has mask_zero=True"):
        from_keras([*words.layers, *model.layers])


def test_a_cell_that_keras_lacks(keras):
    class Own(SimpleRNN):
        keras_layer = None

    with pytest.raises(ValueError, match="^Keras has no layer that computes as Own$"):
        Own(I, H).to_keras()


def test_float64_without_it_is_refused(keras):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("it always has float64")
    single = contextlib.nullcontext()
    if keras.backend.backend() == "jax":
        import jax

        single = jax.enable_x64(False)  # pages of the documentation may have set it
    message = "float64, but Keras's backend .* multiplies matrices in float32"
    with single, pytest.raises(ValueError, match=message):
        GRU(I, H, dtype="f8").to_keras()


def test_without_keras_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    for convert in (SimpleRNN(2, 3).to_keras, lambda: from_keras(3)):
        with pytest.raises(
            ImportError, match=r"keras is not installed; `pip install .rnn_fast\[keras\]"
        ):
            convert()
