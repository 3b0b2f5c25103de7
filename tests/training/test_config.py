"""Options of a training: numbers in the model's dtype, callbacks and what they return."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rnn_fast import (
    LSTM,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Exponential,
    ReduceOnPlateau,
    RMSprop,
    SimpleRNN,
    Step,
    WarmUp,
)
from rnn_fast.training.config import is_true

X = np.random.default_rng(0).standard_normal((40, 6, 2))
Y = (X.sum((1, 2)) > 0).astype(int)


def model(**options):
    return SimpleRNN(2, 4, **{"seed": 0, **options})


# ------------------------------------------------------------------------ numbers in a dtype


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 1e39}, r"learning_rate = 1e\+39 is too large for float32"),
        ({"clip_norm": 1e39}, "clip_norm = .* large"),
        ({"clip_value": 1e-50}, "clip_value = 1e-50 is too small for float32"),
        ({"l1": 1e39}, "l1 = .* large"),
        ({"l2": {"Whh": 1e39}}, r"l2\['Whh'\] = .* large"),
        ({"optimizer": Adam(epsilon=1e-60)}, "Adam.epsilon = 1e-60 is too small for float32"),
        ({"optimizer": Adagrad(epsilon=1e-60)}, "Adagrad.epsilon"),
        ({"optimizer": RMSprop(epsilon=1e300)}, "RMSprop.epsilon = .* large"),
        ({"optimizer": SGD(weight_decay=1e39)}, "SGD.weight_decay"),
        ({"optimizer": AdamW(weight_decay=1e39)}, "AdamW.weight_decay"),
        ({"optimizer": Adagrad(lr_decay=1e39)}, "Adagrad.lr_decay"),
        ({"schedule": Exponential(10.0), "epochs": 60}, "learning_rate times the largest factor"),
        ({"schedule": Step(1, 1e30), "epochs": 60}, "learning_rate times .* = inf is too large"),
        ({"schedule": WarmUp(2, Exponential(10.0)), "epochs": 60}, "learning_rate times"),
    ],
)
def test_what_float32_does_not_have(options, message):
    m = model()
    before = m._flat.copy()
    with pytest.raises(ValueError, match=f"^{message}"):
        m.fit(X, Y, **{"epochs": 1, "verbose": 0, **options})
    np.testing.assert_array_equal(m._flat, before)


def test_what_float64_has_passes_there():
    m = model(dtype="f8", learning_rate=1e39)
    options = {"optimizer": Adam(epsilon=1e-60), "clip_norm": 1e39, "l1": {"Whh": 1e-50}}
    m.fit(X, Y, epochs=1, learning_rate=0.01, verbose=0, **options)
    m.fit(X, Y, epochs=1, schedule=Exponential(10.0), learning_rate=0.0, verbose=0)
    with pytest.raises(ValueError, match="^learning_rate times .* = inf is too large for float64"):
        m.fit(X, Y, epochs=400, schedule=Exponential(10.0), verbose=0)


def test_settings_of_a_model():
    for options in ({"learning_rate": 1e39}, {"forget_bias": -1e39}):
        drawn = str((seed := np.random.default_rng(0)).bit_generator.state)
        with pytest.raises(ValueError, match=r"^(learning_rate|forget_bias) = -?1e\+39 is too"):
            LSTM(2, 3, seed=seed, **options)
        assert str(seed.bit_generator.state) == drawn
        LSTM(2, 3, dtype="f8", **options)
    m = model()
    with pytest.raises(ValueError, match="^learning_rate = .* large"):
        m.learning_rate = 1e39
    assert m.learning_rate == 0.01
    m.learning_rate = 1e-42  # subnormal
    assert (LSTM(2, 3, forget_bias=1e-42).bh[3:6] > 0).all()


def test_a_rate_that_fades_away_is_right():
    """Under NumPy's strictest settings, too."""
    with np.errstate(all="raise"):
        for schedule in (Exponential(1e-30), Step(1, 1e-300), WarmUp(1e-310)):
            model().fit(X, Y, epochs=4, schedule=schedule, verbose=0)


@pytest.mark.parametrize("kind", [np.float32, np.float64, lambda x: np.array(x)[()]])
def test_numbers_of_numpy_are_plain_inside(kind, tmp_path):
    """Their reprs, and their kinds in JSON, differ between versions."""
    options = {
        "optimizer": SGD(momentum=kind(0.5)),
        "schedule": ReduceOnPlateau(kind(0.5), np.int64(1), kind(0.25)),
        "clip_norm": kind(0.5),
        "checkpoint": tmp_path / "c",
        "verbose": 0,
    }
    one, two = model(), model()
    one.fit(X, Y, epochs=3, **options)
    plain = {
        "optimizer": SGD(momentum=0.5),
        "schedule": ReduceOnPlateau(0.5, 1, 0.25),
        "clip_norm": 0.5,
    }
    two.fit(X, Y, epochs=6, **{**options, **plain}, resume=True)
    assert type(SGD(momentum=kind(0.5)).momentum) is float


# ---------------------------------------------------------------------------------- callbacks


@pytest.mark.parametrize("true", [True, np.True_, np.array(True), np.array([True])])
def test_a_true_result_ends_the_training(true):
    seen = []
    calls = [lambda m, h: true, lambda m, h: seen.append(len(h))]
    assert len(model().fit(X, Y, epochs=5, verbose=0, callbacks=calls)) == 1
    assert seen == [1]  # all are called


def test_a_measure_of_numpy_ends_the_training():
    good = lambda m, h: (m.predict(X) == Y).mean() > 0.9  # noqa: E731
    m = model()
    h = m.fit(X, Y, epochs=50, learning_rate=0.3, verbose=0, callbacks=iter([good]))
    assert 1 < len(h) < 50 and h.loss[-1] < h.loss[0]


@pytest.mark.parametrize(
    "other", [None, False, np.False_, np.array(False), 1, 0.5, "text", [True], np.float64(1), dict]
)
def test_other_results_are_ignored(other):
    assert not is_true("callbacks[0]", other)


def test_tensors_are_bools_too():
    torch = pytest.importorskip("torch")
    assert is_true("c", torch.tensor(True)) and is_true("c", torch.ones(2).any())
    assert not is_true("c", torch.tensor(False)) and not is_true("c", torch.tensor(1.0))
    with pytest.raises(TypeError, match=r"^c must return .*; got Tensor of shape \(2,\): use all"):
        is_true("c", torch.ones(2) > 0)


def test_several_bools_are_an_error():
    m = model()
    with pytest.raises(
        TypeError, match=r"^callbacks\[1\] must return a bool or None; got ndarray of shape \(40,"
    ):
        m.fit(X, Y, verbose=0, callbacks=[print_nothing, lambda m, h: m.predict(X) == Y])


def print_nothing(model, history):
    """A callback that tells nothing."""


def test_one_callable_is_not_a_list():
    with pytest.raises(TypeError, match="^callbacks must be .*; one callable goes into a list$"):
        model().fit(X, Y, callbacks=print_nothing)
    with pytest.raises(TypeError, match=r"^callbacks\[1\] must be callable; got 3$"):
        model().fit(X, Y, callbacks=[print_nothing, 3])


@pytest.mark.parametrize("options", [["-O"], ["-OO"], ["-W", "error"], ["-I"], ["-X", "dev"]])
def test_python_with_other_options(options):
    """Docstrings, asserts, warnings and the environment may be gone or be errors."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import numpy as np\nfrom rnn_fast import GRU\nfrom rnn_fast.cli.main import main\n"
        "x, y = np.zeros((4, 3, 2)), np.zeros(4)\n"
        "m = GRU(2, 3, seed=0); m.fit(x, y, epochs=2, verbose=True); m.fit(x, y, verbose=2)\n"
        "m.evaluate(x, y); m.predict(x); assert main(['train', '--epochs', '1', '--quiet']) == 0"
    )
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr
