"""Targets of sequences, or of their steps, and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout.network import Network
from . import checks
from .arrays import real
from .rows import Targets
from .sequences import Input, step_rows
from .weights import sequence_weights, weights_by_class


def read_targets(
    name: str,
    y: Any,
    inputs: Input,
    net: Network,
    check_finite: bool = True,
    *,
    mask: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    is_part: bool = False,
) -> Targets:
    """Return `y` and its weights as the kernels take them.

    Parameters
    ----------
    name, net, check_finite
        As for `sequences.read_sequences`.
    y : array-like or list
        As in `Model.fit`.
    inputs : Input
        The sequences that `y` belongs to.
    mask : array-like of bool (N, T), or list, optional
        Steps that count, where there is an output after every step.
    sample_weight : array-like (N,), or (N, T), or list, optional
    class_weight : dict of class to weight, or "balanced", optional
    is_part : bool
        Whether there are more sequences: then all these weights may be 0.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, or a weight is negative or not finite, or all weights are 0.
    """
    counts = inputs.inside if net.sequences else None
    if mask is not None:
        shown = read_mask(mask, inputs, net)
        counts = shown if counts is None else shown & counts
        if not (is_part or counts.any()):
            raise ValueError("mask must be True at a step of a sequence; it is False at all steps")
    if not net.sequences:
        values = checks.targets(name, y, len(inputs), net, check_finite, inputs.steps)
    else:
        y = read_steps(name, y, inputs)
        hint = checks.one_hot_hint(y, net) if isinstance(y, np.ndarray) else ""
        values = step_rows(name, y, inputs, net.target_size, hint)
        if counts is not None:
            values = np.where(counts[:, None], values, np.zeros((), values.dtype))
        values = checked_values(name, values, y, inputs, net, check_finite)
    weights = None
    if sample_weight is not None:
        weights = sequence_weights(sample_weight, inputs, net, counts, is_part)
    if class_weight is not None:
        factors = weights_by_class(class_weight, values, counts, net)
        with np.errstate(over="ignore"):
            weights = factors if weights is None else weights * factors
    if mask is not None:
        weights = counts if weights is None else weights * counts
    if weights is not None:
        weights = checks.cast("sample_weight times class_weight", weights, net.dtype, True)
        with np.errstate(over="ignore"):
            total = weights.sum(dtype=np.float64)
        if not np.isfinite(total):  # the mean loss would be 0
            raise ValueError("sample_weight times class_weight is too large: its sum is infinite")
        if not (is_part or (weights if counts is None else weights[counts]).any()):
            raise ValueError("all weights are 0")
    return Targets(values, weights)


def read_mask(mask: Any, inputs: Input, net: Network) -> np.ndarray:
    """Return a mask of steps as (rows,) bool."""
    if not net.sequences:
        raise ValueError("mask needs a model with return_sequences=True")
    rows = step_rows("mask", mask, inputs, 0)
    if rows.dtype != bool:
        raise TypeError(f"mask must hold bool; got dtype {rows.dtype}")
    return rows


def read_steps(name: str, y: Any, inputs: Input) -> Any:
    """Return targets of steps as an array, or for a list of sequences as a list of arrays."""
    if inputs.steps is not None:
        return real(name, y)
    if not isinstance(y, (list, tuple)):
        return y
    return [real(f"{name}[{i}]", part) for i, part in enumerate(y)]


def checked_values(
    name: str, rows: np.ndarray, y: Any, inputs: Input, net: Network, check_finite: bool
) -> np.ndarray:
    """Return the targets of all rows after a check; errors name the place in `y`."""
    if inputs.steps is not None:
        checked = checks.target_values(name, rows.reshape(y.shape), net, check_finite, True)
        return checked.reshape(rows.shape)
    for i, part in enumerate(inputs.shaped(rows)):
        checks.target_values(f"{name}[{i}]", part.reshape(y[i].shape), net, check_finite)
    return checks.target_values(name, rows, net, check_finite)
