"""The losses: what their logits mean, in NumPy.

Their compiled maths stands in `losses.maths`, and in NumPy in `losses.plain`.

With z the logits, y the targets, e = z - y, and means over the outputs except for cross_entropy::

    bce             max(z, 0) - z y + log(1 + exp(-|z|))     outputs sigmoid(z)
    cross_entropy   log(sum exp(z)) - z_y                    outputs softmax(z)
    mse             e^2                                      outputs z
    huber           e^2 / 2 up to |e| = 1, then |e| - 1/2    outputs z
    mae             |e|                                      outputs z
    linear          sum of z y, whose gradient is y          outputs z
    poisson         exp(z) - z y                             outputs exp(z)
    quantile        (1 - q) e above y, -q e below            outputs z, one for each level q
    gaussian        log s + ((m - y) / s)^2 / 2              outputs m = z_0, s = FLOOR + exp(z_1)
                    + log(2 pi) / 2
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..validation import real, shown
from . import plain
from .loss import LOSSES, Loss, LossOption
from .plain import FLOOR

KERNELS = "rnn_fast.losses.maths"


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


def rates(logits: np.ndarray) -> np.ndarray:
    """exp(z); infinite beyond the dtype."""
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(logits)


def means_and_scales(logits: np.ndarray) -> np.ndarray:
    """Mean z_0 and scale FLOOR + exp(z_1) of each pair of logits on the last axis."""
    pairs = np.array(logits).reshape(*logits.shape[:-1], -1, 2)
    pairs[..., 1] = rates(pairs[..., 1]) + FLOOR
    return pairs.reshape(logits.shape)


def first_of_each(outputs: np.ndarray) -> np.ndarray:
    """First number of the last axis."""
    return outputs[..., 0]


def levels(name: str, value: Any) -> tuple[float, ...]:
    """Return quantile levels, one number or several, as a tuple.

    Raises
    ------
    TypeError, ValueError
        A level is no number in (0, 1), or there is none.
    """
    several = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
    numbers = tuple(real(f"{name}[{i}]", each) for i, each in enumerate(several))
    if not numbers or not all(0 < number < 1 for number in numbers):
        raise ValueError(
            f"{name} must be numbers between 0 and 1, at least one; got {shown(value)}"
        )
    return numbers


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
        formula=plain.binary_cross_entropy,
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
        formula=plain.cross_entropy,
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
            formula=getattr(plain, kernel),
        )
    )
LOSSES.add(
    Loss(
        name="poisson",
        kernel=f"{KERNELS}:poisson",
        output_kernel=f"{KERNELS}:rate_outputs",
        activation=rates,
        formula=plain.poisson,
        bounds=(0.0, np.inf),
    )
)
LOSSES.add(
    Loss(
        name="quantile",
        kernel=f"{KERNELS}:quantile",
        output_kernel=f"{KERNELS}:plain_outputs",
        activation=identity,
        formula=plain.quantile,
        options=(LossOption("levels", (0.1, 0.5, 0.9), levels),),
        n_logits=0,
    )
)
LOSSES.add(
    Loss(
        name="gaussian",
        kernel=f"{KERNELS}:gaussian",
        output_kernel=f"{KERNELS}:gaussian_outputs",
        activation=means_and_scales,
        formula=plain.gaussian,
        n_logits=2,
        means=first_of_each,
    )
)
