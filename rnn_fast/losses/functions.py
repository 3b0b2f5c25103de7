"""The losses: what their logits mean, in NumPy.  Their compiled maths stands in `losses.kernels`.

With z the logits, y the targets, e = z - y, and means over the outputs except for cross_entropy::

    bce             max(z, 0) - z y + log(1 + exp(-|z|))     outputs sigmoid(z)
    cross_entropy   log(sum exp(z)) - z_y                    outputs softmax(z)
    mse             e^2                                      outputs z
    huber           e^2 / 2 up to |e| = 1, then |e| - 1/2    outputs z
    mae             |e|                                      outputs z
    linear          sum of z y, whose gradient is y          outputs z
"""

from __future__ import annotations

import numpy as np

from .loss import LOSSES, Loss

KERNELS = "rnn_fast.losses.kernels"


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), accurate in the whole range; NaN passes through."""
    with np.errstate(under="ignore"):
        e = np.exp(-np.abs(logits))
        return np.where(logits >= 0, 1, e) / (1 + e)


def softmax(logits: np.ndarray) -> np.ndarray:
    """exp(z) / sum exp(z) over the last axis, without overflow; NaN for infinite or NaN logits."""
    with np.errstate(under="ignore", invalid="ignore"):
        e = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)


def identity(logits: np.ndarray) -> np.ndarray:
    """The logits themselves."""
    return logits


def above_zero(logits: np.ndarray) -> np.ndarray:
    """Label 1 of each logit above 0, else 0; int64."""
    return (logits > 0).astype(np.int64)


def largest(logits: np.ndarray) -> np.ndarray:
    """Class of the largest logit, int64, without the last axis."""
    return logits.argmax(axis=-1).astype(np.int64, copy=False)


LOSSES.add(
    Loss(
        name="bce",
        kernel=f"{KERNELS}:binary_cross_entropy",
        output_kernel=f"{KERNELS}:sigmoid_outputs",
        activation=sigmoid,
        labels=above_zero,
        bounds=(0.0, 1.0),
    )
)
LOSSES.add(
    Loss(
        name="cross_entropy",
        kernel=f"{KERNELS}:cross_entropy",
        output_kernel=f"{KERNELS}:softmax_outputs",
        activation=softmax,
        labels=largest,
        takes_classes=True,
    )
)
VALUES = {
    "mse": "squared_error",
    "huber": "huber",
    "mae": "absolute_error",
    "linear": "inner_product",
}
for name, kernel in VALUES.items():
    LOSSES.add(
        Loss(
            name=name,
            kernel=f"{KERNELS}:{kernel}",
            output_kernel=f"{KERNELS}:plain_outputs",
            activation=identity,
        )
    )
