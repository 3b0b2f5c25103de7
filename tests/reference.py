"""The textbook, in float64 NumPy: what every fast path is compared with.

It imports nothing of the package, has no special cases, and is slow on purpose. Shapes follow the
package: ``x (B, T, I)``, ``Wxh (H, I)``, ``Whh (H, H)``, ``bh (H,)``, ``Why (O, H)``, ``by (O,)``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Params = dict[str, Array]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0.0),
}
# Both derivatives can be written with the activation's own value h; relu'(0) = 0, as in PyTorch.
DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "tanh": lambda h: 1.0 - h * h,
    "relu": lambda h: (h > 0.0).astype(float),
}


def random_params(
    input_size: int, hidden_size: int, output_size: int, rng: np.random.Generator
) -> Params:
    """Draw every parameter at random: constant ones, or zero biases, would hide mistakes."""
    I, H, O = input_size, hidden_size, output_size
    return {
        "Wxh": rng.standard_normal((H, I)) / np.sqrt(I),
        "Whh": rng.standard_normal((H, H)) / np.sqrt(H),
        "bh": 0.1 * rng.standard_normal(H),
        "Why": rng.standard_normal((O, H)) / np.sqrt(H),
        "by": 0.1 * rng.standard_normal(O),
    }


def forward(params: Params, x: ArrayLike, nonlinearity: str = "tanh") -> tuple[Array, Array]:
    """Run the Elman network over a batch of sequences.

    ``h_0 = 0``, ``h_t = f(Wxh x_t + Whh h_{t-1} + bh)``, ``z = Why h_T + by``.

    Parameters
    ----------
    params : dict
        The five parameters by name.
    x : (B, T, I)
        Sequences.
    nonlinearity : {"tanh", "relu"}
        The function f.

    Returns
    -------
    hs : (T + 1, B, H)
        Hidden states, the initial one included.
    logits : (B, O)
        The outputs z, before any sigmoid or softmax.
    """
    Wxh, Whh, bh, Why, by = (params[name] for name in ("Wxh", "Whh", "bh", "Why", "by"))
    x = np.asarray(x, dtype=float)
    B, T, _ = x.shape
    hs = np.zeros((T + 1, B, len(bh)))
    for t in range(T):
        hs[t + 1] = ACTIVATIONS[nonlinearity](x[:, t] @ Wxh.T + hs[t] @ Whh.T + bh)
    return hs, hs[T] @ Why.T + by


def sigmoid(z: Array) -> Array:
    """Return ``1 / (1 + exp(-z))`` without overflow, with full relative accuracy."""
    return np.exp(-np.logaddexp(0.0, -z))


def softmax(z: Array) -> Array:
    """Return ``exp(z_i) / sum_j exp(z_j)`` along the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def loss_and_logit_gradient(loss: str, logits: Array, y: ArrayLike) -> tuple[float, Array]:
    """Return the mean loss and its gradient with respect to the logits.

    Parameters
    ----------
    loss : {"bce", "cross_entropy", "mse"}
        Binary cross-entropy on logits and squared error are means over batch and outputs;
        softmax cross-entropy is a mean over the batch.
    logits : (B, O)
        The outputs z.
    y : (B, O), or (B,) integer labels for "cross_entropy"
        Targets; in [0, 1] for "bce".

    Returns
    -------
    value : float
        The loss.
    dlogits : (B, O)
        Its gradient.
    """
    if loss == "cross_entropy":
        rows, labels = np.arange(len(logits)), np.asarray(y)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_likelihood = shifted[rows, labels] - np.log(np.exp(shifted).sum(axis=1))
        dlogits = softmax(logits)
        dlogits[rows, labels] -= 1.0
        return -float(log_likelihood.mean()), dlogits / len(logits)

    y = np.asarray(y, dtype=float).reshape(logits.shape)
    if loss == "bce":
        value = y * np.logaddexp(0.0, -logits) + (1.0 - y) * np.logaddexp(0.0, logits)
        dlogits = (1.0 - y) * sigmoid(logits) - y * sigmoid(-logits)  # sigmoid(z) - y
    elif loss == "mse":
        value = (logits - y) ** 2
        dlogits = 2.0 * (logits - y)
    else:
        raise ValueError(f"unknown loss {loss!r}")
    return float(value.mean()), dlogits / logits.size


def loss_and_gradients(
    params: Params, x: ArrayLike, y: ArrayLike, nonlinearity: str = "tanh", loss: str = "bce"
) -> tuple[float, Params]:
    """Return the mean loss and its exact gradient, by back-propagation through all of time.

    Parameters
    ----------
    params, x, nonlinearity
        As in `forward`.
    y, loss
        As in `loss_and_logit_gradient`.

    Returns
    -------
    value : float
        The loss.
    gradients : dict
        One array per parameter, of its shape.
    """
    x = np.asarray(x, dtype=float)
    hs, logits = forward(params, x, nonlinearity)
    value, dz = loss_and_logit_gradient(loss, logits, y)

    # z = Why h_T + by
    gradients = {name: np.zeros_like(parameter) for name, parameter in params.items()}
    gradients["Why"] += dz.T @ hs[-1]
    gradients["by"] += dz.sum(axis=0)
    dh = dz @ params["Why"]
    for t in reversed(range(x.shape[1])):
        # h_t = f(a_t)
        da = dh * DERIVATIVES[nonlinearity](hs[t + 1])
        # a_t = Wxh x_t + Whh h_{t-1} + bh
        gradients["Wxh"] += da.T @ x[:, t]
        gradients["Whh"] += da.T @ hs[t]
        gradients["bh"] += da.sum(axis=0)
        dh = da @ params["Whh"]
    return value, gradients


def sgd(
    params: Params,
    gradients: Params,
    velocity: Params,
    learning_rate: float,
    momentum: float = 0.0,
) -> None:
    """Take one step in place, as PyTorch defines it: ``v = momentum v + g``, ``p = p - lr v``."""
    for name, gradient in gradients.items():
        velocity[name] *= momentum
        velocity[name] += gradient
        params[name] -= learning_rate * velocity[name]


def accuracy(loss: str, logits: Array, y: ArrayLike) -> float:
    """Return the share of right answers: by sign for "bce", by largest for "cross_entropy"."""
    if loss == "bce":
        return float(np.mean((logits > 0.0) == (np.reshape(y, logits.shape) > 0.5)))
    if loss == "cross_entropy":
        return float(np.mean(logits.argmax(axis=1) == np.asarray(y)))
    raise ValueError(f"accuracy has no meaning for loss {loss!r}")
