"""Weights of sequences, steps and classes in the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

from ..layout.network import Network
from ..losses import LOSSES
from . import checks
from .arrays import real
from .rows import Targets
from .sequences import Input, is_list, step_rows

#: weight of each class, or by the reciprocal of its frequency
ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"] | None


def sequence_weights(
    value: Any, inputs: Input, net: Network, counts: np.ndarray | None, is_part: bool
) -> np.ndarray:
    """Return `sample_weight` as (N,), or with an output after every step as (rows,).

    Parameters
    ----------
    value : array-like or list
        (N,), or with an output after every step (N, T) or a list of (T_i,) as well.
    inputs : Input
        Sequences that the weights are for.
    net : Network
    counts : (rows,) bool array or None
        Rows that count; None: all of them.
    is_part : bool
        Whether there are more sequences: then all these weights may be 0.

    Raises
    ------
    TypeError, ValueError
        `value` does not fit, or a weight is negative or not finite, or all weights are 0.
    """
    lengths = inputs.sequences.lengths
    per_sequence = not isinstance(value, (list, tuple)) or not is_list(value)
    array = real("sample_weight", value) if per_sequence else None
    if array is not None and array.shape == (len(inputs),):
        check_weights("sample_weight", array, net.dtype, is_part)
        if not net.sequences:
            return array
        n = lengths if inputs.steps is None else np.full(len(inputs), inputs.steps)
        return np.repeat(array, n)
    if not net.sequences:
        got = "a list" if array is None else array.shape
        raise ValueError(f"sample_weight must have shape ({len(inputs)},); got {got}")
    rows = step_rows("sample_weight", value, inputs)
    if counts is not None:
        rows = np.where(counts, rows, 0)
    if inputs.steps is not None:
        check_weights("sample_weight", inputs.shaped(rows), net.dtype, is_part)
        return rows
    for i, part in enumerate(inputs.shaped(rows)):
        check_weights(f"sample_weight[{i}]", part, net.dtype, is_part=True)
    check_weights("sample_weight", rows, net.dtype, is_part)
    return rows


def check_weights(name: str, array: np.ndarray, dtype: np.dtype, is_part: bool = False) -> None:
    """Raise ValueError for weights that cannot be used.

    These are negative or not finite ones, or ones too large for `dtype`; and, unless `is_part`,
    weights that are all 0.
    """
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        wrong = ~((array >= 0) & (array.astype(dtype) < np.inf))
    if wrong.any():
        at = checks.first(wrong)
        large = 0 <= array[at] < np.inf
        why = f"is too large for {dtype}" if large else "is not a finite weight of at least 0"
        raise ValueError(f"{checks.element(name, array, at)} {why}")
    if not (is_part or array.any()):
        raise ValueError(f"{name} must not be zero everywhere")


def weights_by_class(
    value: Any, values: np.ndarray, counts: np.ndarray | None, net: Network
) -> np.ndarray:
    """Return the weight of each target's class, (rows,).

    Parameters
    ----------
    value : mapping of class to weight, or "balanced"
        A class that the mapping lacks weighs 1.
    values : (rows, target_size) array
        Targets.
    counts : (rows,) bool array or None
        Rows that count; None: all of them.
    net : Network

    Raises
    ------
    TypeError, ValueError
        `value` does not fit, or the targets are no classes.
    """
    n_classes = count_classes(net)
    if n_classes is None:
        raise ValueError("class_weight is for loss cross_entropy, or bce with one output")
    labels = class_labels(values, net)
    if isinstance(value, str):
        seen = labels if counts is None else labels[counts]
        value = balanced(value, np.bincount(seen, minlength=n_classes))
    if not isinstance(value, Mapping):
        raise TypeError(f"class_weight must be a dict or 'balanced'; got {type(value).__name__}")
    weights = np.ones(n_classes)
    for label, weight in value.items():
        if isinstance(label, bool) or label not in range(n_classes):
            raise ValueError(f"class_weight[{label!r}] is none of the classes 0 .. {n_classes - 1}")
        number = real(f"class_weight[{label!r}]", weight)
        if number.ndim:
            raise TypeError(f"class_weight[{label!r}] must be a number; got shape {number.shape}")
        weights[int(label)] = number
    check_weights("class_weight", weights, net.dtype)
    return weights[labels]


def count_classes(net: Network) -> int | None:
    """Return the number of classes that a target tells apart, or None."""
    return LOSSES[net.loss].n_classes(net.output_size)


def class_labels(values: np.ndarray, net: Network) -> np.ndarray:
    """Return the classes of targets, (rows,) int64."""
    classes = values[:, 0] if LOSSES[net.loss].takes_classes else values[:, 0] > 0.5
    return classes.astype(np.int64)


def class_counts(inputs: Input, targets: Targets, net: Network) -> np.ndarray:
    """Return the number of targets of each class, except targets of weight 0."""
    labels = class_labels(targets.y, net)
    if targets.weights is not None:
        labels = labels[targets.weights > 0]
    elif net.sequences and (inside := inputs.inside) is not None:
        labels = labels[inside]
    return np.bincount(labels, minlength=count_classes(net) or 0)


def balanced(value: str, counts: np.ndarray) -> dict[int, float]:
    """Return the weights that "balanced" stands for: reciprocals of the classes' frequencies.

    Raises
    ------
    ValueError
        `value` is another word.
    """
    if value != "balanced":
        raise ValueError(f"class_weight must be a dict or 'balanced'; got {value!r}")
    present = np.flatnonzero(counts)
    weights = dict.fromkeys(range(len(counts)), 0.0)
    return weights | {int(c): counts.sum() / (len(present) * counts[c]) for c in present}
