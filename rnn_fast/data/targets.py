"""Targets of sequences, or of their steps, and their weights."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from ..layout.network import Network
from ..validation import choice
from . import checks
from .arrays import real
from .rows import Targets
from .sequences import Input, step_rows
from .weights import sequence_weights, weights_by_class

Missing = Literal["nan"]  #: targets that do not count


def missing_word(name: str, value: Any) -> Missing | None:
    """Return the option `missing`: "nan", or None."""
    return None if value is None else choice(name, value, get_args(Missing))


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
    missing: Any = None,
    is_part: bool = False,
) -> Targets:
    """Return `y` and its weights as the kernels take them.

    Each number of a target that is not missing is a term of the loss.  A row's loss is the mean of
    its terms, so its weight is times its share of terms that count.

    Parameters
    ----------
    name, net, check_finite
        As for `sequences.read_sequences`.
    y : array-like or list
        As in `Model.fit`.
    inputs : Input
        The sequences that `y` belongs to.
    mask : array-like of bool, or list, optional
        True where a target counts, in the shape of `y`; (N, T) for all outputs of a step.
    sample_weight : array-like (N,), or (N, T), or list, optional
    class_weight : dict of class to weight, or "balanced", optional
    missing : "nan", optional
        Whether NaN in `y` is a missing value.
    is_part : bool
        Whether there are more sequences: then all these weights may be 0.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, or a weight is negative or not finite, or all weights are 0.
    """
    inside = inputs.inside if net.sequences else None
    counts: Any = inside
    there: Any = None
    if mask is not None:
        shown, there = read_mask(mask, inputs, net)
        counts = shown if counts is None else shown & counts
        if not (is_part or counts.any()):
            raise ValueError("mask must be True at a step of a sequence; it is False at all steps")
    values, there = read_values(name, y, inputs, net, check_finite, counts, there, missing)
    if there is not None:
        counts = there.any(1) if counts is None else there.any(1) & counts
        if not (is_part or counts.any()):
            raise ValueError(f"{name} must have a target that counts; all are missing")
    weights = None
    if sample_weight is not None:
        weights = sequence_weights(sample_weight, inputs, net, counts, is_part)
    if class_weight is not None:
        factors = weights_by_class(class_weight, values, counts, net)
        with np.errstate(over="ignore"):
            weights = factors if weights is None else weights * factors
    if there is not None:
        shares = there.mean(1)
        weights = shares if weights is None else weights * shares
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
    if there is None or (there == there[:, :1]).all():  # rows are there or not
        return Targets(values, weights)
    return Targets(np.where(there, values, values.dtype.type(np.nan)), weights, skips=True)


def read_mask(mask: Any, inputs: Input, net: Network) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a mask of steps as (rows,) bool, or a mask of numbers as (rows, target_size)."""
    shape = net.target_shape
    if not net.sequences:
        array = real("mask", mask)
        shapes = [(len(inputs), *shape)] + [(len(inputs),)] * (shape == (1,))
        if array.shape not in shapes:
            expected = " or ".join(map(str, shapes))
            raise ValueError(f"mask must have shape {expected}, as y; got {array.shape}")
        rows = array.reshape(len(inputs), -1)
    else:
        of_list = inputs.steps is None and isinstance(mask, (list, tuple)) and mask
        n_axes = real("mask", mask[0]).ndim + 1 if of_list else real("mask", mask).ndim
        rows = step_rows("mask", mask, inputs, shape if n_axes > 2 else ())
    if rows.dtype != bool:
        raise TypeError(f"mask must hold bool; got dtype {rows.dtype}")
    if rows.ndim == 1:
        return rows, None
    return np.asarray(np.logical_or.reduce(rows, axis=1)), rows


def read_values(
    name: str,
    y: Any,
    inputs: Input,
    net: Network,
    check_finite: bool,
    counts: np.ndarray | None,
    there: np.ndarray | None,
    missing: Any,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return targets (rows, target_size), and which of their numbers are there; None: all.

    Numbers that do not count are 0.

    counts : (rows,) bool array or None
        Rows that count; None: all of them.
    there : (rows, target_size) bool array or None
        Numbers that a mask shows.
    """
    missing = missing_word("missing", missing)
    if net.sequences:
        y = read_steps(name, y, inputs)
        hint = checks.one_hot_hint(y, net) if isinstance(y, np.ndarray) else ""
        values = step_rows(name, y, inputs, net.target_shape, hint)
    else:
        y = checks.shaped_targets(name, y, len(inputs), net, inputs.steps)
        values = y.reshape(len(inputs), net.target_size)
    if missing is not None and values.dtype.kind == "f":
        is_number = ~np.isnan(values)
        there = is_number if there is None else there & is_number
    if there is not None and counts is not None:
        there = there | ~counts[:, None]
    if there is not None and there.all():
        there = None
    zero = np.zeros((), values.dtype)
    if counts is not None:
        values = np.where(counts[:, None], values, zero)
    if there is not None:
        values = np.where(there, values, zero)
    if net.sequences:
        return checked_values(name, values, y, inputs, net, check_finite), there
    checked = checks.target_values(name, values.reshape(y.shape), net, check_finite)
    return checked.reshape(values.shape), there


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
