"""Targets: what the outputs of sequences, or of their steps, are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout.network import Network
from . import checks
from .rows import Targets
from .sequences import Input, step_rows
from .weights import sequence_weights, weights_by_class


def read_targets(
    name: str,
    y: Any,
    given: Input,
    net: Network,
    check_finite: bool = True,
    *,
    mask: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    part: bool = False,
) -> Targets:
    """`y`, and what each of it weighs.

    Parameters
    ----------
    name, net, check_finite
        As for `sequences`.
    y : array-like or list
        As in `Model.fit`.
    given : Input
        The sequences that `y` belongs to.
    mask : array-like of bool (N, T), or list, optional
        Steps that count, where there is an output after every step.
    sample_weight : array-like (N,), or (N, T), or list, optional
    class_weight : dict of class to weight, or "balanced", optional
    part : bool
        Whether there are more of them: then all of these may weigh nothing.

    Raises
    ------
    TypeError, ValueError
        What does not fit; weights that are negative, not finite or all zero.
    """
    counts = given.inside if net.sequences else None
    if mask is not None:
        if not net.sequences:
            raise ValueError("mask is for a model with return_sequences=True")
        shown = step_rows("mask", mask, given, 0)
        if shown.dtype != bool:
            raise TypeError(f"mask must hold bool; got dtype {shown.dtype}")
        counts = shown if counts is None else shown & counts
        if not (part or counts.any()):
            raise ValueError("mask lets no step count")
    if not net.sequences:
        values = checks.targets(name, y, len(given), net, check_finite)
    else:
        values = step_rows(name, y, given, net.target_size)
        if counts is not None:
            values = np.where(counts[:, None], values, np.zeros((), values.dtype))
        values = checked_values(name, values, y, given, net, check_finite)
    weights = None
    if sample_weight is not None:
        weights = sequence_weights(sample_weight, given, net, counts, part)
    if class_weight is not None:
        own = weights_by_class(class_weight, values, counts, net)
        weights = own if weights is None else weights * own
    if mask is not None:
        weights = counts if weights is None else weights * counts
    if weights is not None:
        weights = np.require(weights, net.dtype, ["C", "A"])
        if not (part or (weights if counts is None else weights[counts]).any()):
            raise ValueError("all weights are 0")
    return Targets(values, weights)


def checked_values(
    name: str, rows: np.ndarray, y: Any, given: Input, net: Network, check_finite: bool
) -> np.ndarray:
    """Targets of every row, checked; errors name the place in `y` as it was given."""
    if given.steps is not None:
        checked = checks.target_values(name, rows.reshape(np.shape(y)), net, check_finite)
        return checked.reshape(rows.shape)
    for i, own in enumerate(given.shaped(rows)):
        checks.target_values(f"{name}[{i}]", own.reshape(np.shape(y[i])), net, check_finite)
    return checks.target_values(name, rows, net, check_finite)
