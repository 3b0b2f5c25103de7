"""Every allocation of work memory fails once: MemoryError, a model in order, and it goes on."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
from common import assert_same_bits, learned

from rnn_fast import GRU, LSTM, SimpleRNN, load
from rnn_fast.engine.workspace import Memory, spaces
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((70, 6, 3)), (RNG.random(70) > 0.5).astype(int)
TOKENS, VALUES = RNG.integers(0, 5, (70, 6)), RNG.standard_normal(70)

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


class Failing(Memory):
    """Memory whose n-th vector there is no room for."""

    def __init__(self, n: int):
        self.left = n

    def vector(self, n, dtype, lines=0):
        self.left -= 1
        if not self.left:
            raise MemoryError("no room")
        return super().vector(n, dtype, lines)


@pytest.fixture
def failing():
    """Return a function that makes the n-th allocation fail, and none for 0."""
    before = spaces.memory

    def fail(n):
        spaces.memory = Failing(n)

    yield fail
    spaces.memory = before
    spaces.kept.clear()


def bits(model):
    return b"".join(array.tobytes() for array in model.parameters.values())


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_survives_the_failure_of_any_allocation(name, failing, tmp_path):
    make, data, settings = TRAININGS[name]
    settings = {"epochs": 2, "verbose": 0, "n_threads": 1, **settings}
    failing(0)
    moments = [bits(make())]
    make().fit(*data, **settings, callbacks=[lambda model, _: moments.append(bits(model))])
    with tuned(worth_seconds=0.0):  # threads join in however little there is to do
        for n in itertools.count(1):
            spaces.kept.clear()
            failing(n)
            model, path = make(), tmp_path / f"{n}"
            try:
                model.fit(*data, **settings, checkpoint=path)
            except MemoryError:
                assert bits(model) in moments
                assert not path.exists() or bits(load(path)) in moments
            else:
                break
            failing(0)
            twin = copy.deepcopy(model)
            went_on = learned(model, *data, **settings)
            spaces.kept.clear()
            assert_same_bits(went_on, learned(twin, *data, **settings))
    assert n > 2
    assert bits(model) == moments[-1] or settings.get("early_stopping")


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("method", ["predict", "loss_and_gradients"])
def test_a_failed_call_leaves_a_model_that_answers(name, method, failing):
    make, data, _ = TRAININGS[name]
    model = make()
    arguments = data[:1] if method == "predict" else data
    failing(0)
    wanted = getattr(model, method)(*arguments)
    for n in itertools.count(1):
        spaces.kept.clear()
        failing(n)
        try:
            getattr(model, method)(*arguments)
        except MemoryError:
            failing(0)
            np.testing.assert_equal(getattr(model, method)(*arguments), wanted)
        else:
            break
    assert n > 2
