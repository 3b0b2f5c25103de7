"""What logits mean, in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnn_fast import scores

Z = np.array([-800.0, -50.0, -1.5, -0.0, 0.0, 0.25, 40.0, 800.0])


def test_sigmoid():
    expected = [0.0, *(1 / (1 + math.exp(-z)) for z in Z[1:-1]), 1.0]
    np.testing.assert_allclose(scores.activation("bce", Z[:, None])[:, 0], expected, rtol=4e-16)
    np.testing.assert_allclose([scores.sigmoid(float(z)) for z in Z], expected, rtol=4e-16)


@pytest.mark.parametrize("loss", ["bce", "cross_entropy", "mse"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_activation_keeps_dtype_and_shape_and_nan(loss, dtype):
    logits = np.array([[1, 2], [np.nan, 0]], dtype)
    with np.errstate(all="raise"):
        result = scores.activation(loss, logits)
    assert result.dtype == dtype and result.shape == (2, 2)
    assert np.isnan(result[1, 0]) and np.isfinite(result[0]).all()


def test_softmax():
    p = scores.activation("cross_entropy", np.array([[0.0, math.log(3)], [1000, -1000]]))
    np.testing.assert_allclose(p, [[0.25, 0.75], [1, 0]], rtol=1e-15)


def test_labels():
    logits = np.array([[-1.0, 0.0, 2.0], [3.0, 3.0, -1.0]], np.float32)
    assert scores.labels("bce", logits).tolist() == [[0, 0, 1], [1, 1, 0]]
    assert scores.labels("cross_entropy", logits).tolist() == [2, 0]
    assert all(scores.labels(loss, logits).dtype == np.int64 for loss in ("bce", "cross_entropy"))


def mean_loss(*arguments):
    return scores.measures(*arguments)["loss"]


def accuracy(*arguments):
    return scores.measures(*arguments)["accuracy"]


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
    assert scores.losses("mae", z, y).tolist() == [1.25, 2.0]
    assert scores.losses("huber", z, y).tolist() == [(0.125 + 1.5) / 2, (2.5 + 0.5) / 2]


def test_weights():
    z, y = np.array([[1.0], [1.0], [-1.0]]), np.array([[1.0], [0.0], [0.0]])
    each, weights = scores.losses("bce", z, y), np.array([1.0, 3.0, 0.0])
    found = scores.measures("bce", z, y, weights)
    assert found == pytest.approx({"loss": (each[0] + 3 * each[1]) / 4, "accuracy": 0.25})


def test_losses_of_huge_logits():
    z = np.array([[1e30], [-1e30]], np.float32)
    assert mean_loss("bce", z, np.array([[1.0], [0.0]])) == 0
    assert mean_loss("bce", z, np.array([[0.0], [1.0]])) == pytest.approx(1e30)
    z = np.array([[1000.0, -1000.0]])
    assert mean_loss("cross_entropy", z, np.array([[1.0]])) == 2000


def test_accuracy():
    z = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 0.0]])
    assert accuracy("bce", z, np.array([[1, 0], [1, 0], [0.2, 0.5]])) == 2 / 3
    assert accuracy("cross_entropy", z, np.array([[0.0], [1], [1]])) == 2 / 3


def test_measures():
    z = np.zeros((2, 1))
    assert set(scores.measures("bce", z, z)) == {"loss", "accuracy"}
    assert set(scores.measures("mse", z, z)) == {"loss"}
