"""Sequences as the user has them, and the rows that the kernels take.

The user has padded arrays with lengths, or lists of sequences.  The kernels take the rows of all
sequences, one sequence after the other.  Padding, and steps that do not count, may hold anything.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..layout.network import Network
from . import checks
from .arrays import real, refuse_masks
from .rows import Sequences, padded


class Input(NamedTuple):
    """N sequences, and their form in the user's data."""

    sequences: Sequences
    steps: int | None  #: T of padded sequences; None: they were a list

    def __len__(self) -> int:
        return len(self.sequences.starts)

    @property
    def inside(self) -> np.ndarray | None:
        """Rows that belong to a sequence and not to padding, (rows,) bool; None: all of them."""
        lengths = self.sequences.lengths
        if self.steps is None or (lengths == self.steps).all():
            return None
        return (np.arange(self.steps) < lengths[:, None]).ravel()

    def shaped(self, rows: np.ndarray) -> Any:
        """Return rows in the form of the sequences: an array (N, T, ...), or a list."""
        if self.steps is None:
            _, starts, lengths = self.sequences
            return [rows[a : a + n] for a, n in zip(starts, lengths, strict=True)]
        return rows.reshape(len(self), self.steps, *rows.shape[1:])


def is_list(X: Any) -> bool:
    """Return whether X is a list of sequences: of arrays, or of parts of unequal length."""
    if not isinstance(X, (list, tuple)) or not X:
        return False
    if any(isinstance(x, np.ndarray) and x.ndim for x in X):
        return True
    try:
        return len({len(x) for x in X}) > 1
    except TypeError:  # numbers, also arrays of no axis, whose len() fails
        return False


# ---------------------------------------------------------------------------------- sequences


def read_sequences(
    name: str, X: Any, net: Network, check_finite: bool = True, lengths: Any = None
) -> Input:
    """Return sequences as rows.

    Parameters
    ----------
    name : str
        Name of the argument, for messages.
    X : array-like or list
        (N, T, I), or with an embedding (N, T) indices; or a list of (T_i, I), or of (T_i,).
    net : Network
    check_finite : bool
        Whether NaN and infinities are refused.
    lengths : array-like of N integers, optional
        Steps of each padded sequence, 1 .. T.  Default: all T.

    Raises
    ------
    TypeError, ValueError
        `X` does not pass `checks`, `lengths` do not fit, or a sequence is empty.
    """
    if is_list(X):
        if lengths is not None:
            raise ValueError(f"lengths are for padded sequences; {name} is a list of sequences")
        return _read_list(name, X, net, check_finite)
    if lengths is None:
        array = _read_array(name, X, net, check_finite)
        return Input(padded(array), array.shape[1])
    array = real(name, X)
    checks.shape_of_sequences(name, array.shape, net)
    N, T = array.shape[:2]
    n_steps = read_lengths(lengths, N, T)
    array = np.array(array)
    array[np.arange(T) >= n_steps[:, None]] = 0
    array = _read_array(name, array, net, check_finite)
    return Input(padded(array)._replace(lengths=n_steps), T)


def _read_array(name: str, X: Any, net: Network, check_finite: bool) -> np.ndarray:
    if not net.embedding:
        return checks.sequences(name, X, net, check_finite)
    array = real(name, X)
    checks.shape_of_sequences(name, array.shape, net)
    return checks.tokens(name, array, net)


def read_lengths(lengths: Any, N: int, T: int) -> np.ndarray:
    """Return `lengths` as (N,) int64, each in 1 .. T: a copy, since they become addresses."""
    array = real("lengths", lengths)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers; got dtype {array.dtype}")
    if array.shape != (N,):
        raise ValueError(f"lengths must have shape ({N},) for {N} sequences; got {array.shape}")
    lengths = np.array(array, np.int64)  # beyond int64 they are negative
    wrong = (lengths < 1) | (lengths > T)
    if wrong.any():
        at = checks.first(wrong)
        raise ValueError(f"{checks.element('lengths', array, at)} is not in 1 .. {T}")
    return lengths


def _read_list(name: str, X: Any, net: Network, check_finite: bool) -> Input:
    features = () if net.embedding else (net.input_size,)
    shape = "(T,)" if net.embedding else f"(T, {net.input_size})"
    parts = []
    refuse_masks(name, X)
    for i, x in enumerate(X):
        part_name = f"{name}[{i}]"
        array = real(part_name, x)
        if array.ndim == 0 or array.size == 0 or array.shape[1:] != features:
            raise ValueError(
                f"{part_name} must have shape {shape}, the steps of a sequence, at least one; got "
                f"{array.shape}"
            )
        if net.embedding:
            parts.append(checks.tokens(part_name, array, net))
        else:
            parts.append(checks.cast(part_name, array, net.dtype, check_finite))
    lengths = np.array([len(part) for part in parts], np.int64)
    rows = np.require(np.concatenate(parts), None, ["C", "A"])
    return Input(Sequences(rows, np.cumsum(lengths) - lengths, lengths), None)


# -------------------------------------------------------------------------------------- steps


def step_rows(
    name: str, value: Any, inputs: Input, shape: tuple[int, ...] = (), hint: str = ""
) -> np.ndarray:
    """Return data of every step as (rows,), or for some columns as (rows, columns).

    Parameters
    ----------
    name : str
        Name of the argument, for messages.
    value : array-like or list
        (N, T, *shape), or a list of (T_i, *shape).
    inputs : Input
        The sequences of the steps.
    shape : tuple of int
        Axes of a step.  One number needs no axis.
    hint : str
        Appended to the message about a wrong shape.
    """
    ends = [(), shape] if shape == (1,) else [shape]
    columns = (math.prod(shape),) if shape else ()
    if inputs.steps is not None:
        shapes = [(len(inputs), inputs.steps, *end) for end in ends]
        array = _shaped(name, value, shapes, ", samples by steps", hint)
        return array.reshape(-1, *columns)
    if not isinstance(value, (list, tuple)) or len(value) != len(inputs):
        raise ValueError(f"{name} must be a list of {len(inputs)} arrays, as the sequences are")
    parts = []
    for i, (part, n) in enumerate(zip(value, inputs.sequences.lengths.tolist(), strict=True)):
        array = _shaped(f"{name}[{i}]", part, [(n, *end) for end in ends])
        parts.append(array.reshape(-1, *columns))
    return np.concatenate(parts)


def _shaped(
    name: str, value: Any, shapes: list[tuple[int, ...]], axes: str = "", hint: str = ""
) -> np.ndarray:
    array = real(name, value)
    if array.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"{name} must have shape {expected}{axes}; got {array.shape}{hint}")
    return array
