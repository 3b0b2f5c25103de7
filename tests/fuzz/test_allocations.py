"""Every array that NumPy makes fails once: MemoryError, a model in order, and it goes on."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
from common import assert_same_bits, learned
from scarce import Scarcity

from rnn_fast import GRU, LSTM, SimpleRNN, load
from rnn_fast.engine.workspace import spaces
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((40, 6, 3)), (RNG.random(40) > 0.5).astype(int)
TOKENS, VALUES = RNG.integers(0, 5, (40, 6)), RNG.standard_normal(40)

SMALL = {"dtype": "float64", "seed": 0}
#: makers of a model, data, settings
TRAININGS = {
    "single": (lambda: SimpleRNN(3, 8, **SMALL), (X, Y), {"batch_size": 1}),
    "batches": (lambda: GRU(3, 5, **SMALL), (X, Y), {"validation_data": (X[:9], Y[:9])}),
    "threads": (lambda: GRU(3, 5, **SMALL), (X, Y), {"batch_size": None, "n_threads": 3}),
    "windows": (lambda: LSTM(3, 5, num_layers=2, dropout=0.5, **SMALL), (X, Y), {"bptt": 2}),
    "embedding": (
        lambda: LSTM(5, 5, embedding_size=2, loss="mse", **SMALL),
        (TOKENS, VALUES),
        {"validation_split": 0.2, "early_stopping": 1},
    ),
}


SCARCITY = Scarcity()


@pytest.fixture(autouse=True)
def fresh_work_memory():
    spaces.kept.clear()
    yield
    spaces.kept.clear()


def bits(model):
    return b"".join(array.tobytes() for array in model.parameters.values())


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_survives_the_failure_of_any_allocation(name, tmp_path):
    make, data, settings = TRAININGS[name]
    settings = {"epochs": 2, "verbose": 0, "n_threads": 1, **settings}
    writes = name in ("single", "windows")  # a checkpoint, which waits for the disk
    moments, model = [], make()
    see = lambda model, _: moments.append(bits(model))  # noqa: E731
    see(model, None)
    model.fit(*data, **settings, callbacks=[see])
    final = bits(model)
    with tuned(worth_seconds=0.0):  # threads join in however little there is to do
        for n in itertools.count(1):
            spaces.kept.clear()
            model, path = make(), tmp_path / f"{n}"
            keep = {"checkpoint": path} if writes else {}
            try:
                with SCARCITY.failing(n):
                    model.fit(*data, **settings, **keep)
            except MemoryError:
                assert bits(model) in moments
                assert not path.exists() or bits(load(path)) in moments
            else:
                assert bits(model) == final
            if SCARCITY.left > 0:
                break
            twin = copy.deepcopy(model)
            went_on = learned(model, *data, **settings)
            spaces.kept.clear()
            assert_same_bits(went_on, learned(twin, *data, **settings))
    assert n > 50


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("method", ["predict", "evaluate", "loss_and_gradients"])
def test_a_failed_call_leaves_a_model_that_answers(name, method):
    make, data, _ = TRAININGS[name]
    model = make()
    arguments, before = data[:1] if method == "predict" else data, bits(model)
    wanted = getattr(model, method)(*arguments)
    for n in itertools.count(1):
        spaces.kept.clear()
        try:
            with SCARCITY.failing(n):
                getattr(model, method)(*arguments)
        except MemoryError:
            pass
        assert bits(model) == before
        if SCARCITY.left > 0:
            break
        np.testing.assert_equal(getattr(model, method)(*arguments), wanted)
    assert n > 5


@pytest.mark.parametrize("name", ["single", "batches"])
def test_online_steps_survive_too(name):
    make, data, _ = TRAININGS[name]
    x, y = data[0][0], float(data[1][0])
    steady = make()
    steady.forward(x)
    steady.backward(y)
    for n in itertools.count(1):
        model = make()
        before = bits(model)
        try:
            with SCARCITY.failing(n):
                model.forward(x)
                model.backward(y)
        except MemoryError:
            assert bits(model) == before
            model.forward(x)
            model.backward(y)
        assert bits(model) == bits(steady)
        if SCARCITY.left > 0:
            break
    assert n > 5
