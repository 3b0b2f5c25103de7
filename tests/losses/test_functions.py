"""What logits mean, in NumPy, and the measures of compiled losses."""

from __future__ import annotations

import functools
import math
from collections import namedtuple

import numpy as np
import pytest

from rnn_fast import SimpleRNN
from rnn_fast.jit import compiled
from rnn_fast.losses import LOSSES
from rnn_fast.losses.measures import Measures, Spread


def activation(loss, logits):
    return LOSSES[loss].activation(logits)


def labels(loss, logits):
    return LOSSES[loss].labels(logits)


KIND = namedtuple("kind", "targets weights losses hits")


@functools.cache
def compiled_losses(dtype):
    """All losses of a register of samples."""
    from rnn_fast.losses.kernels import Choice, loss_and_gradient
    from rnn_fast.simd import Shape

    shape, choice = Shape(dtype, 1, 1), Choice()

    def program(number, O, logits, targets, weights, losses, hits):
        buffers = KIND(targets, weights, losses, hits)
        loss_and_gradient(shape, choice, number, logits, buffers, 1.0, O)

    reals = dict.fromkeys(("logits", *KIND._fields), "reals")
    return compiled(program, dtype, number="int", O="int", **reals), shape.lanes


def losses_and_hits(loss, logits, y):
    """Of each sample, by the compiled loss."""
    logits = np.asarray(logits)
    run, lanes = compiled_losses(logits.dtype.name)
    results = []
    for i in range(0, len(logits), lanes):
        z, targets = (
            np.zeros((part.shape[1], lanes), logits.dtype) for part in (logits, np.asarray(y))
        )
        n = len(logits[i : i + lanes])
        z[:, :n], targets[:, :n] = logits[i : i + lanes].T, np.asarray(y)[i : i + lanes].T
        arrays = [z, targets, *(np.ones(lanes, z.dtype) for _ in range(3))]
        run(LOSSES.place(loss), len(z), *(array.ctypes.data for array in arrays))
        results.append([array[:n].astype(float) for array in arrays[-2:]])
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def losses(loss, logits, y):
    return losses_and_hits(loss, logits, y)[0]


def add(found, loss, logits, y, weights=None):
    """Add samples to the measures, as `engine.evaluation` does."""
    weights = np.ones(len(y)) if weights is None else weights
    counts = weights > 0
    each = losses_and_hits(loss, logits[counts], y[counts]) if counts.any() else ([], [])
    sums = [float(np.dot(weights[counts], values)) for values in each]
    spread = Spread() if LOSSES[loss].classifies else Spread.of(y, weights)
    found.add(np.array([*sums, weights.sum()]), spread)


Z = np.array([-800.0, -50.0, -1.5, -0.0, 0.0, 0.25, 40.0, 800.0])


def test_sigmoid():
    expected = [0.0, *(1 / (1 + math.exp(-z)) for z in Z[1:-1]), 1.0]
    np.testing.assert_allclose(activation("bce", Z[:, None])[:, 0], expected, rtol=4e-16)


@pytest.mark.parametrize("loss", ["bce", "cross_entropy", "mse"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_activation_keeps_dtype_and_shape_and_nan(loss, dtype):
    logits = np.array([[1, 2], [np.nan, 0]], dtype)
    with np.errstate(all="raise"):
        result = activation(loss, logits)
    assert result.dtype == dtype and result.shape == (2, 2)
    assert np.isnan(result[1, 0]) and np.isfinite(result[0]).all()


def test_softmax():
    p = activation("cross_entropy", np.array([[0.0, math.log(3)], [1000, -1000]]))
    np.testing.assert_allclose(p, [[0.25, 0.75], [1, 0]], rtol=1e-15)


def test_labels():
    logits = np.array([[-1.0, 0.0, 2.0], [3.0, 3.0, -1.0]], np.float32)
    assert labels("bce", logits).tolist() == [[0, 0, 1], [1, 1, 0]]
    assert labels("cross_entropy", logits).tolist() == [2, 0]
    assert all(labels(loss, logits).dtype == np.int64 for loss in ("bce", "cross_entropy"))


def measures(loss, *arguments):
    found = Measures(loss)
    add(found, loss, *arguments)
    return found.means()


def mean_loss(*arguments):
    return measures(*arguments)["loss"]


def accuracy(*arguments):
    return measures(*arguments)["accuracy"]


def test_losses():
    z = np.array([[0.5, -2.0], [3.0, 1.0]])
    y = np.array([[1.0, 0.25], [0.0, 1.0]])
    p = 1 / (1 + np.exp(-z))
    bce = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    assert mean_loss("bce", z, y) == pytest.approx(bce, rel=1e-14)
    assert mean_loss("mse", z, y) == pytest.approx(((z - y) ** 2).mean(), rel=1e-14)
    q = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    entropy = -np.log(q[[0, 1], [1, 0]]).mean()
    assert mean_loss("cross_entropy", z, np.array([[1.0], [0]])) == pytest.approx(entropy)


def test_losses_of_regression():
    z, y = np.array([[0.5, -2.0], [3.0, 1.0]]), np.zeros((2, 2))
    assert losses("mae", z, y).tolist() == [1.25, 2.0]
    assert losses("huber", z, y).tolist() == [(0.125 + 1.5) / 2, (2.5 + 0.5) / 2]


def test_weights():
    z, y = np.array([[1.0], [1.0], [-1.0]]), np.array([[1.0], [0.0], [0.0]])
    each, weights = losses("bce", z, y), np.array([1.0, 3.0, 0.0])
    found = measures("bce", z, y, weights)
    assert found == pytest.approx({"loss": (each[0] + 3 * each[1]) / 4, "accuracy": 0.25})


def test_losses_of_huge_logits():
    z = np.array([[1e30], [-1e30]], np.float32)
    assert mean_loss("bce", z, np.array([[1.0], [0.0]])) == 0
    assert mean_loss("bce", z, np.array([[0.0], [1.0]])) == pytest.approx(1e30)
    z = np.array([[1000.0, -1000.0]])
    assert mean_loss("cross_entropy", z, np.array([[1.0]])) == 2000


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_overflows_is_infinite_or_nan_without_a_warning(loss, dtype):
    O = LOSSES[loss].least_outputs
    model = SimpleRNN(1, 3, O, loss=loss, dtype=dtype, seed=0)
    for name in ("Why", "bh"):
        view = model.parameters[name]
        view[...] = np.finfo(view.dtype).max / 2
    X, y = np.ones((4, 2, 1)), np.zeros(4)
    assert not np.isfinite(model.decision_function(X)).any()
    model.predict(X), model.forward(X), model.forward(X[0])
    assert not np.isfinite(model.evaluate(X, y)["loss"])
    if LOSSES[loss].classifies:
        model.predict_proba(X)


@pytest.mark.parametrize("loss", ["mae", "huber"])
def test_a_spread_beyond_float64_gives_no_r2_and_no_warning(loss):
    model, X = SimpleRNN(1, 3, loss=loss, dtype="f8", seed=0), np.ones((4, 2, 1))
    y = np.array([1e300, -1e300, 1e300, 0.0])
    history = model.fit(X, y, batch_size=2, epochs=2, validation_data=(X, y))
    history_of_items = model.fit_stream([(X, y), (X, y)])
    r2 = [*history.r2, *history.val_r2, *history_of_items.r2, model.evaluate(X, y)["r2"]]
    assert not np.isfinite(r2).any() and np.isfinite(history.loss).all()


def test_accuracy():
    z = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 0.0]])
    assert accuracy("bce", z, np.array([[1, 0], [1, 0], [0.2, 0.5]])) == 2 / 3
    assert accuracy("cross_entropy", z, np.array([[0.0], [1], [1]])) == 2 / 3


def test_measures():
    z = np.zeros((2, 1))
    assert set(measures("bce", z, z)) == {"loss", "accuracy"}
    assert set(measures("mse", z, z)) == {"loss", "mse", "r2"}
    assert all(math.isnan(v) for v in measures("mse", z, z, np.zeros(2)).values())


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("weighted", [True, False])
def test_values_in_one_go_and_in_parts_are_as_scikit_learn_measures_them(loss, weighted):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((2, 50, 3)) + np.array([0, 1e3, -5])
    weights = rng.random(50) * (rng.random(50) < 0.8) if weighted else None
    found = Measures(loss)
    for part in (slice(0, 1), slice(1, 20), slice(20, 50)):
        add(found, loss, z[part], y[part], None if weights is None else weights[part])
    whole = measures(loss, z, y, weights)
    assert found.means() == pytest.approx(whole, rel=1e-12)
    options = {"sample_weight": weights, "multioutput": "variance_weighted"}
    assert whole["r2"] == pytest.approx(metrics.r2_score(y, z, **options), rel=1e-10)
    mse = metrics.mean_squared_error(y, z, sample_weight=weights)
    assert whole["mse"] == pytest.approx(mse, rel=1e-12)


def test_there_is_no_r2_of_targets_that_are_all_the_same():
    assert math.isnan(measures("mse", np.ones((3, 1)), np.full((3, 1), 2.0))["r2"])
    assert (Spread() + Spread.of(np.ones((2, 1)))).weight == 2
