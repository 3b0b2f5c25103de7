"""What logits mean, in NumPy, and the measures of compiled losses."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import rnn_fast
from rnn_fast import SimpleRNN
from rnn_fast.engine.loss import LOSS
from rnn_fast.engine.workspace import addresses
from rnn_fast.jit import vector_bytes
from rnn_fast.layout.loss import LossJob
from rnn_fast.layout.network import Network
from rnn_fast.losses import LOSSES
from rnn_fast.losses.measures import Measures, Spread


def activation(loss, logits):
    return LOSSES[loss].activation(logits)


def labels(loss, logits):
    return LOSSES[loss].labels(logits)


def by_kernel(loss, logits, y, *, skips=False, options=(), weights=None):
    """Losses, hits and gradients of each sample, by the compiled loss, two registers at a time."""
    logits, y = np.asarray(logits), np.asarray(y)
    dtype, width = logits.dtype, vector_bytes() // logits.dtype.itemsize
    net = Network("gru", dtype, 1, 1, logits.shape[1], loss, loss_options=options)
    numbers, run, lanes = net.loss_numbers(skips), LOSS(dtype.name, loss, width), 2 * width
    results = []
    for i in range(0, len(logits), lanes):
        z, targets = (np.zeros((part.shape[1], lanes), dtype) for part in (logits, y))
        n = len(logits[i : i + lanes])
        z[:, :n], targets[:, :n] = logits[i : i + lanes].T, y[i : i + lanes].T
        arrays = [numbers, z, targets, *(np.ones(lanes, dtype) for _ in range(3))]
        if weights is not None:
            arrays[3][:n] = weights[i : i + lanes]
        one = np.float64(1).view(np.int64)
        job = np.array(LossJob(*addresses(*arrays), one, lanes, len(z), outputs=0), np.int64)
        run(job.ctypes.data)
        found = [array[:n].astype(float) for array in arrays[-2:]]
        results.append([*found, z[:, :n].T.astype(float)])
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def losses_and_hits(loss, logits, y):
    """Of each sample, by the compiled loss."""
    return by_kernel(loss, logits, y)[:2]


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


LEVELS = (0.1, 0.3, 0.95)
#: losses by value as formulas of logits (N, V, k) and targets (N, V, 1)
FORMULAS = {
    "bce": lambda z, y: np.logaddexp(0, z) - z * y,
    "mse": lambda z, y: (z - y) ** 2,
    "huber": lambda z, y: np.where(abs(z - y) < 1, (z - y) ** 2 / 2, abs(z - y) - 0.5),
    "mae": lambda z, y: abs(z - y),
    "poisson": lambda z, y: np.exp(z) - z * y,
    "quantile": lambda z, y: np.maximum(
        np.multiply(LEVELS, y - z), np.subtract(LEVELS, 1) * (y - z)
    ),
    "gaussian": lambda z, y: (
        -norm_logpdf(y[..., 0], z[..., 0], 1e-3 + np.exp(z[..., 1]))[..., None]
    ),
}
#: their derivatives by the logits
SLOPES = {
    "bce": lambda z, y: 1 / (1 + np.exp(-z)) - y,
    "mse": lambda z, y: 2 * (z - y),
    "huber": lambda z, y: np.clip(z - y, -1, 1),
    "mae": lambda z, y: np.sign(z - y),
    "poisson": lambda z, y: np.exp(z) - y,
    "quantile": lambda z, y: np.where(z > y, 1, 0) - np.array(LEVELS),
    "gaussian": lambda z, y: gaussian_slopes(z[..., 0] - y[..., 0], np.exp(z[..., 1])),
}
PREDICTED = {"poisson": np.exp, "gaussian": lambda z: z[..., :1]}


def norm_logpdf(y, mean, scale):
    return -(((y - mean) / scale) ** 2) / 2 - np.log(scale) - np.log(2 * np.pi) / 2


def gaussian_slopes(e, growing):
    """With respect to the mean and to r, for the scale 1e-3 + exp(r)."""
    s = 1e-3 + growing
    return np.stack([e / s**2, (1 / s - e**2 / s**3) * growing], -1)


@pytest.mark.parametrize("loss", FORMULAS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("f4", 2e-5), ("f8", 1e-13)])
@pytest.mark.parametrize("missing", [False, True])
def test_losses_by_value(loss, dtype, tolerance, missing):
    """Losses, hits and gradients, with 4 values a sample, of which some may be missing."""
    rng, options = np.random.default_rng(0), LEVELS if loss == "quantile" else ()
    k = LOSSES[loss].logits_of_value(options)
    z = (2 * rng.standard_normal((37, 4, k))).astype(dtype).astype(float)
    y = rng.poisson(1.0, (37, 4)).astype(float) if loss != "bce" else rng.integers(0, 2, (37, 4))
    weights = rng.random(37).astype(dtype)
    there = np.ones((37, 4), bool)
    if missing:
        there = rng.random((37, 4)) < 0.6
        there[3] = False
    n = np.maximum(there.sum(1), 1)
    shown = np.where(there, y, np.nan).astype(dtype)
    flat = z.reshape(37, -1).astype(dtype)
    found = by_kernel(loss, flat, shown, skips=missing, options=options, weights=weights)

    wanted = (FORMULAS[loss](z, y[..., None]).mean(2) * there).sum(1) / n
    np.testing.assert_allclose(found[0], wanted, rtol=tolerance, atol=tolerance)
    if LOSSES[loss].classifies:
        hits = (((z[..., 0] > 0) == (y > 0.5)) | ~there).all(1) & there.any(1)
    else:
        errors = (PREDICTED.get(loss, np.asarray)(z) - y[..., None]) ** 2
        hits = (errors.mean(2) * there).sum(1) / n
    np.testing.assert_allclose(found[1], hits, rtol=tolerance, atol=tolerance)
    share = (there * weights[:, None] / n[:, None])[..., None]
    n_slopes = 1 if loss == "gaussian" else k  # the loss is a mean over levels
    gradient = (SLOPES[loss](z, y[..., None]) * share / n_slopes).reshape(37, -1)
    np.testing.assert_allclose(found[2], gradient, rtol=10 * tolerance, atol=tolerance)
    assert (found[2].reshape(37, 4, k)[~there] == 0).all()


def test_a_gaussian_of_extreme_scales():
    """A scale of 0 becomes the floor; the logarithm of a huge one is the logit itself."""
    z = np.array([[0.0, -1e4], [0.0, 1e4], [0.0, np.log(1e-3)]])
    found = by_kernel("gaussian", z, np.array([[1e-3], [1.0], [0.0]]))
    half = np.log(2 * np.pi) / 2
    wanted = [np.log(1e-3) + 0.5 + half, 1e4 + half, np.log(2e-3) + half]
    np.testing.assert_allclose(found[0], wanted, rtol=1e-14)
    np.testing.assert_allclose(found[2], [[-1e3, 0], [0, 1], [0, 0.5]], rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("loss", ["poisson", "gaussian", "quantile"])
def test_outputs_are_the_activations(loss):
    """`forward` computes them in compiled code, for a batch NumPy does."""
    model = SimpleRNN(1, 3, 2, loss=loss, dtype="f8", seed=0)
    x = np.random.default_rng(0).standard_normal((2, 4, 1))
    np.testing.assert_allclose(model.forward(x[0]), model.forward(x)[0], rtol=1e-12)
    z = model.decision_function(x)
    np.testing.assert_allclose(model.forward(x), LOSSES[loss].activation(z).reshape(2, -1))
    predicted = model.predict(x)
    assert predicted.shape == ((2, 2, 3) if loss == "quantile" else (2, 2))
    if loss == "gaussian":
        means, scales = model.predict_distribution(x)
        np.testing.assert_array_equal(means, predicted)
        np.testing.assert_array_equal(scales, 1e-3 + np.exp(z[..., 1]))
    else:
        with pytest.raises(ValueError, match="predict_distribution needs .* not " + loss):
            model.predict_distribution(x)


def test_options_of_a_loss(tmp_path):
    make = functools.partial(SimpleRNN, 1, 3, loss="quantile")
    model = make(loss_options={"levels": np.array([0.2, 0.8])}, seed=0)
    assert model.loss_options == {"levels": (0.2, 0.8)} and model.Why.shape == (2, 3)
    assert "loss_options={'levels': (0.2, 0.8)}" in repr(model)
    model.save(tmp_path / "model")
    assert rnn_fast.load(tmp_path / "model").loss_options == model.loss_options
    assert make().loss_options == {"levels": (0.1, 0.5, 0.9)}
    assert make(loss_options={"levels": 0.5}).Why.shape == (1, 3)
    assert SimpleRNN(1, 3).loss_options is None
    for wrong in ({"levels": []}, {"levels": [0.5, 1.0]}, {"levels": ["x"]}, {"level": 0.5}, 3):
        with pytest.raises((TypeError, ValueError), match=r"^loss_options"):
            make(loss_options=wrong)
    with pytest.raises(ValueError, match="but mse has none"):
        SimpleRNN(1, 3, loss="mse", loss_options={"levels": 0.5})


def test_a_rate_is_not_negative():
    model = SimpleRNN(1, 3, loss="poisson", seed=0)
    with pytest.raises(ValueError, match=r"y\[1\] = -1.0 is not in \[0, inf\]"):
        model.evaluate(np.ones((2, 3, 1)), [0.0, -1.0])


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
