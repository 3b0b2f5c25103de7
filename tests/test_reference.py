"""The oracle is itself checked: by finite differences, and against PyTorch in float64."""

from __future__ import annotations

import numpy as np
import pytest
from reference import (
    Array,
    Params,
    accuracy,
    forward,
    loss_and_gradients,
    loss_and_logit_gradient,
    random_params,
    sgd,
    sigmoid,
)

B, T, I, H, O = 5, 7, 3, 4, 3

every_loss = pytest.mark.parametrize("loss", ["bce", "cross_entropy", "mse"])
every_nonlinearity = pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])


def problem(loss: str, seed: int = 0) -> tuple[Params, Array, np.ndarray]:
    """Return random parameters, sequences and targets fit for the loss."""
    rng = np.random.default_rng(seed)
    targets = {
        "bce": rng.random((B, O)),
        "cross_entropy": rng.integers(0, O, B),
        "mse": rng.standard_normal((B, O)),
    }
    return random_params(I, H, O, rng), rng.standard_normal((B, T, I)), targets[loss]


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.abs(got - want).max() / np.abs(want).max())


@every_loss
@every_nonlinearity
def test_gradients_match_finite_differences(loss: str, nonlinearity: str) -> None:
    params, x, y = problem(loss)
    _, gradients = loss_and_gradients(params, x, y, nonlinearity, loss)
    step = 1e-5
    for name, parameter in params.items():
        slope = np.empty_like(parameter)
        for index in np.ndindex(parameter.shape):
            kept = parameter[index]
            value = {}
            for sign in (-1, 1):
                parameter[index] = kept + sign * step
                value[sign], _ = loss_and_gradients(params, x, y, nonlinearity, loss)
            parameter[index] = kept
            slope[index] = (value[1] - value[-1]) / (2 * step)
        assert relative_error(gradients[name], slope) < 1e-8, name


@every_loss
@every_nonlinearity
def test_loss_logits_and_gradients_match_pytorch(loss: str, nonlinearity: str) -> None:
    torch = pytest.importorskip("torch")
    params, x, y = problem(loss, seed=1)
    weights = {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}
    no_bias = torch.zeros(H, dtype=torch.float64)
    cell = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}[nonlinearity]
    _, h = cell(
        torch.tensor(x),
        torch.zeros(1, B, H, dtype=torch.float64),
        [weights["Wxh"], weights["Whh"], weights["bh"], no_bias],
        True,  # has_biases
        1,  # layers
        0.0,  # dropout
        True,  # train
        False,  # bidirectional
        True,  # batch_first
    )
    logits = h[0] @ weights["Why"].T + weights["by"]
    functions = {
        "bce": torch.nn.functional.binary_cross_entropy_with_logits,
        "cross_entropy": torch.nn.functional.cross_entropy,
        "mse": torch.nn.functional.mse_loss,
    }
    want = functions[loss](logits, torch.tensor(y))
    want.backward()

    value, gradients = loss_and_gradients(params, x, y, nonlinearity, loss)
    assert value == pytest.approx(want.item(), rel=1e-12)
    got = forward(params, x, nonlinearity)[1]
    assert relative_error(got, logits.detach().numpy()) < 1e-12
    for name, weight in weights.items():
        assert relative_error(gradients[name], weight.grad.numpy()) < 1e-12, name


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_matches_pytorch(momentum: float) -> None:
    torch = pytest.importorskip("torch")
    params, x, y = problem("bce", seed=2)
    weights = {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}
    optimizer = torch.optim.SGD(weights.values(), lr=0.1, momentum=momentum)
    velocity = {name: np.zeros_like(p) for name, p in params.items()}
    for _ in range(4):
        _, gradients = loss_and_gradients(params, x, y)
        for name, weight in weights.items():
            weight.grad = torch.tensor(gradients[name])
        optimizer.step()
        sgd(params, gradients, velocity, learning_rate=0.1, momentum=momentum)
    for name, weight in weights.items():
        assert relative_error(params[name], weight.detach().numpy()) < 1e-12, name


def test_bce_keeps_its_accuracy_far_out() -> None:
    logits = np.array([[-800.0], [-40.0], [40.0], [800.0]])
    right = (logits > 0).astype(float)
    value, dlogits = loss_and_logit_gradient("bce", logits, right)
    assert value == pytest.approx(np.exp(-40.0) / 2, rel=1e-14)
    want = np.exp(-np.abs(logits)) * np.where(right, -1, 1) / 4
    np.testing.assert_allclose(dlogits, want, rtol=1e-14, atol=0)
    np.testing.assert_array_equal(sigmoid(logits)[[0, -1], 0], [0.0, 1.0])


def test_accuracy_counts_right_answers() -> None:
    logits = np.array([[2.0, -1.0], [-3.0, 4.0]])
    assert accuracy("bce", logits, [[1, 1], [0, 1]]) == 0.75
    assert accuracy("cross_entropy", logits, [0, 0]) == 0.5
    with pytest.raises(ValueError, match="mse"):
        accuracy("mse", logits, logits)


def test_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown loss 'hinge'"):
        loss_and_logit_gradient("hinge", np.zeros((1, 1)), [[0]])
