"""Wrong values of every public argument: refused by name, before any work."""

from __future__ import annotations

import inspect
from datetime import timedelta

import numpy as np
import pytest

import rnn_fast
from rnn_fast import GRU, LSTM, LeakyRNN, SimpleRNN, Stack, tasks
from rnn_fast.optimizers import OPTIMIZERS
from rnn_fast.training.history import History

X = np.random.default_rng(0).standard_normal((8, 4, 2))
Y = (X.sum((1, 2)) > 0).astype(int)


class Unprintable:
    def __repr__(self):
        raise RuntimeError


WRONG = {
    "none": None,
    "text": "x",
    "bytes": b"x",
    "long text": "x" * 10**6,
    "object": Unprintable(),
    "class": dict,
    "nan": np.nan,
    "inf": np.inf,
    "negative": -1,
    "fraction": 1.5,
    "complex": 1j,
    "true": True,
    "big": 10**30,
    "huge": 10**5000,
    "list": [],
    "long list": [["x" * 100] * 1000] * 1000,
    "dict": {},
    "array": np.full(3, 0.5),
    "bools": np.zeros(2, bool),
    "past": timedelta(-1),
}
#: which of these are right, by the kind of argument
COUNT: set[str] = set()
SOME_COUNT = {"none"}
SHARE: set[str] = set()
RATE = {"fraction", "big"}
SOME_RATE = {"none", *RATE}
REAL = {"negative", *RATE}
PENALTY = {*SOME_RATE, "dict"}
FLAG = {"true"}
CHOICE: set[str] = set()
SOME_CHOICE = {"none"}
CALLS = {"list", "dict"}
SOME_CALL = {"none", "class"}
PATH = {"text", "long text", "bytes"}
SEED = {"none", "big", "huge", "list"}
DATA = None  # arrays, see tests/data

MODEL = {
    "input_size": COUNT,
    "hidden_size": COUNT,
    "output_size": COUNT,
    "num_layers": COUNT,
    "bidirectional": FLAG,
    "dropout": SHARE,
    "readout_dropout": SHARE,
    "skip": set(),  # True needs an output after every step
    "input_noise": RATE,
    "recurrent_noise": set(),  # of cells with one pre-activation
    "return_sequences": FLAG,
    "learn_initial_state": FLAG,
    "embedding_size": SOME_COUNT,
    "loss": CHOICE,
    "loss_options": {"none", "dict"},
    "dtype": CHOICE,
    "initial": {"none", "dict"},
    "seed": SEED,
    "learning_rate": RATE,
}
STACK = {
    name: right
    for name, right in MODEL.items()
    if name
    in ("input_size", "hidden_size", "num_layers", "bidirectional", "dropout", "dtype", "seed")
    or name in ("learn_initial_state", "embedding_size", "initial")
} | {"cell": CHOICE}
LEAKY = {"alpha": set(), "learn_alpha": FLAG, "form": CHOICE, "nonlinearity": CHOICE}
TRAINING = {
    "loss": SOME_CALL,
    "epochs": COUNT,
    "batch_size": SOME_COUNT,
    "learning_rate": SOME_RATE,
    "schedule": SOME_CHOICE,
    "optimizer": CHOICE,
    "clip_norm": SOME_RATE,
    "clip_value": SOME_RATE,
    "l1": PENALTY,
    "l2": PENALTY,
    "activity_l1": SOME_RATE,
    "activity_l2": SOME_RATE,
    "missing": SOME_CHOICE,
    "bptt": SOME_COUNT,
    "validation_data": {"none"},
    "early_stopping": SOME_COUNT,
    "callbacks": CALLS,
    "checkpoint": {"none", *PATH},
    "checkpoint_every": COUNT,
    "resume": {"true"},
    "keep_optimizer": FLAG,
    "n_threads": SOME_COUNT,
    "verbose": {"none", "true"},
    "check_finite": FLAG,
}
FIT = {
    **TRAINING,
    "shuffle": FLAG,
    "shuffle_block": SOME_COUNT,
    "validation_split": SHARE,
    "stratify": set(),  # True needs a validation_split
    **dict.fromkeys(("X", "y", "lengths", "mask", "sample_weight"), DATA),
    **dict.fromkeys(("class_weight", "initial_state"), DATA),
}
STEPS = {"batch": COUNT, "output": CHOICE}
IN_C = {"path": PATH, "name": {"none", "text", "long text"}, "output": CHOICE}
LIBRARY = {"path": PATH, "name": {"none", "text", "long text"}}
RTNEURAL = {"path": PATH, "output": CHOICE}
ONNX = {
    "path": {"none", *PATH},
    "output": CHOICE,
    "lengths": FLAG,
    "states": FLAG,
    "opset": COUNT,
}
STREAM = {**TRAINING, "batches": DATA, "steps_per_epoch": SOME_COUNT}
UPDATE = {
    name: right
    for name, right in FIT.items()
    if name in ("batch_size", "learning_rate", "optimizer", "clip_norm", "clip_value", "l1", "l2")
    or name in ("activity_l1", "activity_l2", "n_threads", "check_finite", "missing")
    or right is DATA
} | {"return_state": FLAG}
FROM_GRADIENTS = {
    name: UPDATE[name]
    for name in ("optimizer", "learning_rate", "clip_norm", "clip_value", "l1", "l2")
} | {"gradients": set()}
CONSTRAINTS = {
    "name": set(),
    "frozen": {"none", "true"},
    "mask": {"none", "true"},
    "sign": {"none", "true", "negative"},
    "max_norm": {"none", "fraction", "big"},
}
APPLY = {
    **dict.fromkeys(("X", "lengths", "initial_state"), DATA),
    "return_state": FLAG,
    "n_threads": SOME_COUNT,
    "check_finite": FLAG,
}
NOISE = {"none"}  # of models with noise
PREDICT = {**APPLY, "noise_seed": NOISE}
DISTRIBUTION = {name: right for name, right in PREDICT.items() if name != "return_state"}
MEASURE = {
    **dict.fromkeys(("X", "y", "lengths", "mask", "sample_weight", "class_weight"), DATA),
    "missing": SOME_CHOICE,
    "initial_state": DATA,
    "n_threads": SOME_COUNT,
    "check_finite": FLAG,
}
EVALUATE = {**MEASURE, "noise_seed": NOISE}
GRADIENTS = {**MEASURE, "input_gradients": FLAG}
JACOBIAN = {"state": DATA, "x": DATA, "inputs": FLAG, "n_threads": SOME_COUNT}
PULLED = {**APPLY, "input_gradients": FLAG, "training": FLAG}
STATES = {
    **DISTRIBUTION,
    "layer": {"negative"},
    "cell_state": FLAG,
}
OBJECTS = {
    rnn_fast.SGD: {"momentum": SHARE, "nesterov": FLAG, "weight_decay": RATE},
    rnn_fast.RMSprop: {
        "alpha": SHARE,
        "epsilon": RATE,
        "momentum": SHARE,
        "centered": FLAG,
        "weight_decay": RATE,
    },
    rnn_fast.Adam: {"beta1": SHARE, "beta2": SHARE, "epsilon": RATE, "weight_decay": RATE},
    rnn_fast.AdamW: {"beta1": SHARE, "beta2": SHARE, "epsilon": RATE, "weight_decay": RATE},
    rnn_fast.Adagrad: {"lr_decay": RATE, "epsilon": RATE, "weight_decay": RATE},
    rnn_fast.Step: {"every": COUNT, "factor": RATE},
    rnn_fast.Exponential: {"factor": RATE},
    rnn_fast.Cosine: {"end": SHARE},
    rnn_fast.ReduceOnPlateau: {
        "factor": SHARE,
        "patience": COUNT,
        "threshold": SHARE,
        "monitor": SOME_CHOICE,
        "mode": CHOICE,
    },
    rnn_fast.WarmUp: {"epochs": RATE, "then": SOME_CHOICE},
    rnn_fast.EarlyStopping: {
        "patience": COUNT,
        "min_delta": RATE,
        "restore_best": FLAG,
        "monitor": SOME_CHOICE,
        "mode": CHOICE,
    },
    tasks.SignOfSum: {"steps": COUNT, "features": COUNT},
    tasks.Adding: {"steps": COUNT},
    tasks.Copying: {"delay": COUNT, "length": COUNT, "letters": COUNT},
    tasks.TemporalOrder: {"steps": COUNT},
}


def refuses(call, name, right=()):
    """Call with each wrong value; the error is short and starts with the argument's name."""
    for what, value in WRONG.items():
        if what in right:
            continue
        with pytest.raises((TypeError, ValueError)) as caught:
            call(**{name: value})
        text = str(caught.value)
        assert text.startswith(name), f"{name} = {what}: {text[:200]}"
        assert len(text) < 500 and "\n" not in text, f"{name} = {what}: {len(text)} characters"


def each(table):
    """Parametrize with the arguments of a table and the values that are right there."""
    cases = [(name, right) for name, right in table.items() if right is not DATA]
    return pytest.mark.parametrize(("name", "right"), cases, ids=[name for name, _ in cases])


@pytest.fixture
def model():
    """A model that must come out of the test as it was."""
    m = LSTM(2, 3, seed=0)
    before, drawn = m._flat.copy(), str(m._generator.bit_generator.state)
    yield m
    np.testing.assert_array_equal(m._flat, before)
    assert str(m._generator.bit_generator.state) == drawn


@each({**MODEL, "peepholes": FLAG, "forget_bias": REAL})
def test_a_model(name, right):
    seed = np.random.default_rng(0)
    drawn = str(seed.bit_generator.state)
    arguments = {"input_size": 2, "hidden_size": 3, "seed": seed}
    refuses(lambda **wrong: LSTM(**{**arguments, **wrong}), name, right)
    assert str(seed.bit_generator.state) == drawn


def test_what_other_models_have():
    refuses(lambda **wrong: SimpleRNN(2, 3, **wrong), "nonlinearity")
    refuses(lambda **wrong: SimpleRNN(2, 3, **wrong), "recurrent_noise", RATE)
    refuses(lambda **wrong: GRU(2, 3, **wrong), "reset_after", FLAG)
    for name, right in LEAKY.items():
        refuses(lambda **wrong: LeakyRNN(2, 3, **wrong), name, right)


@each(FIT)
def test_fit(model, name, right):
    refuses(lambda **wrong: model.fit(X, Y, **{"epochs": 1, "verbose": 0, **wrong}), name, right)


@each(UPDATE)
def test_partial_fit(model, name, right):
    model.partial_fit(X, Y, learning_rate=0.0)  # right options, as of now, are not checked again
    refuses(lambda **wrong: model.partial_fit(X, Y, **wrong), name, right)


@each(FROM_GRADIENTS)
def test_apply_gradients(model, name, right):
    gradients = dict.fromkeys(model.parameters, 0.0)
    refuses(lambda **wrong: model.apply_gradients(**{"gradients": gradients, **wrong}), name, right)


@each(CONSTRAINTS)
def test_constrain(model, name, right):
    refuses(lambda **wrong: model.constrain(**{"name": "Whh", **wrong}), name, right)


@each(STREAM)
def test_fit_stream(model, name, right):
    def fit(**wrong):
        model.fit_stream(never(), **{"steps_per_epoch": 1, "verbose": 0, **wrong})

    def never():
        raise AssertionError("an item was asked for")
        yield

    refuses(fit, name, right)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict"])
@each(PREDICT)
def test_predictions(model, method, name, right):
    refuses(lambda **wrong: getattr(model, method)(X, **wrong), name, right)


@each(DISTRIBUTION)
def test_predict_distribution(name, right):
    model = LSTM(2, 3, loss="gaussian", seed=0)
    refuses(lambda **wrong: model.predict_distribution(X, **wrong), name, right)


@each(STEPS)
def test_stream(model, name, right):
    refuses(model.stream, name, right)


@each(EVALUATE)
def test_evaluate(model, name, right):
    refuses(lambda **wrong: model.evaluate(X, Y, **wrong), name, right)


@each(GRADIENTS)
def test_loss_and_gradients(model, name, right):
    refuses(lambda **wrong: model.loss_and_gradients(X, Y, **wrong), name, right)


@each(PULLED)
def test_vjp(model, name, right):
    refuses(lambda **wrong: model.vjp(X, **wrong), name, right)


@each(STATES)
def test_states(model, name, right):
    refuses(lambda **wrong: model.states(X, **wrong), name, right)


@each(JACOBIAN)
def test_jacobian(model, name, right):
    state = (np.zeros((1, 2, 3)), np.zeros((1, 2, 3)))
    refuses(lambda **wrong: model.jacobian(state, np.zeros(2), **wrong), name, right)


@each(IN_C)
def test_to_c(model, name, right, tmp_path):
    refuses(lambda **wrong: model.to_c(**{"path": tmp_path / "m.h", **wrong}), name, right)
    assert not any(tmp_path.iterdir())


@each(LIBRARY)
def test_to_library(model, name, right, tmp_path):
    refuses(lambda **wrong: model.to_library(**{"path": tmp_path / "m.so", **wrong}), name, right)
    assert not any(tmp_path.iterdir())


@each({"api": CHOICE})
def test_to_flax(model, name, right):
    refuses(lambda **wrong: model.to_flax(**wrong), name, right)


@each(RTNEURAL)
def test_to_rtneural(model, name, right, tmp_path):
    refuses(lambda **wrong: model.to_rtneural(**{"path": tmp_path / "m", **wrong}), name, right)
    assert not any(tmp_path.iterdir())


@each(ONNX)
def test_to_onnx(model, name, right):
    pytest.importorskip("onnx")
    refuses(lambda **wrong: model.to_onnx(**wrong), name, right)


@each(STACK)
def test_a_stack(name, right):
    arguments = {"cell": "gru", "input_size": 2, "hidden_size": 3}
    refuses(lambda **wrong: Stack(**{**arguments, **wrong}), name, right)


@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.__name__)
def test_objects(kind):
    for name, right in OBJECTS[kind].items():
        refuses(kind, name, right)


def test_tasks_draw():
    for task in (tasks.SignOfSum(), tasks.Adding(), tasks.Copying(), tasks.TemporalOrder()):
        for call in (task.draw, task.batches):
            refuses(call, "n")
            refuses(lambda call=call, **wrong: call(1, **wrong), "seed", SEED)


def test_the_rest(model):
    refuses(
        lambda learning_rate: setattr(model, "learning_rate", learning_rate), "learning_rate", RATE
    )
    refuses(model.save, "path", PATH)
    refuses(History().plot, "figure", {"none"})


def test_no_argument_is_left_out():
    """Whoever adds one says here what it may be."""
    methods = {
        LSTM: {**MODEL, "peepholes": FLAG, "forget_bias": REAL},
        SimpleRNN: {**MODEL, "nonlinearity": CHOICE},
        GRU: {**MODEL, "reset_after": FLAG},
        LeakyRNN: {**MODEL, **LEAKY},
        LSTM.fit: FIT,
        LSTM.fit_stream: STREAM,
        LSTM.partial_fit: UPDATE,
        LSTM.apply_gradients: FROM_GRADIENTS,
        LSTM.constrain: CONSTRAINTS,
        LSTM.decision_function: PREDICT,
        LSTM.predict_proba: PREDICT,
        LSTM.predict: PREDICT,
        LSTM.predict_distribution: DISTRIBUTION,
        LSTM.stream: STEPS,
        LSTM.evaluate: EVALUATE,
        LSTM.loss_and_gradients: GRADIENTS,
        LSTM.vjp: PULLED,
        LSTM.states: STATES,
        LSTM.jacobian: JACOBIAN,
        LSTM.to_c: IN_C,
        LSTM.to_flax: {"api": CHOICE},
        LSTM.to_library: LIBRARY,
        LSTM.to_rtneural: RTNEURAL,
        LSTM.to_onnx: ONNX,
        Stack: STACK,
        **OBJECTS,
    }
    for method, table in methods.items():
        assert {*inspect.signature(method).parameters} - {"self"} == {*table}, method
    public = {n for n in dir(LSTM) if callable(getattr(LSTM, n)) and n[0] != "_"}
    # x and y; path; nothing
    others = {"forward", "backward", "save", "to_keras", "to_torch", "description", "summary"}
    assert public - others - {"copy"} == {m.__name__ for m in methods if not isinstance(m, type)}
    assert {kind for kind in OPTIMIZERS.values() if kind.__module__.startswith("rnn_fast.")} <= {
        *OBJECTS
    }
