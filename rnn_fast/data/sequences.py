"""The border between the user's data and the kernels': sequences, targets, weights, states.

The user holds padded arrays with lengths, or lists of sequences; the kernels take rows of all
sequences one behind the other (`compute.Sequences`).  Values are checked by `checks`; what stands
in padding, or at a step that does not count, is never looked at.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..layout.network import Network
from . import checks
from .rows import Sequences, padded


class Input(NamedTuple):
    """N sequences, and how they were given."""

    sequences: Sequences
    steps: int | None  #: T of padded sequences; None: they were a list

    def __len__(self) -> int:
        return len(self.sequences.starts)

    @property
    def inside(self) -> np.ndarray | None:
        """Which rows belong to a sequence, (rows,) bool; None for all of them."""
        lengths = self.sequences.lengths
        if self.steps is None or (lengths == self.steps).all():
            return None
        return (np.arange(self.steps) < lengths[:, None]).ravel()

    def shaped(self, rows: np.ndarray) -> Any:
        """What belongs to each row, as the sequences were given: (N, T, ...) or a list."""
        if self.steps is None:
            _, starts, lengths = self.sequences
            return [rows[a : a + n] for a, n in zip(starts, lengths, strict=True)]
        return rows.reshape(len(self), self.steps, *rows.shape[1:])


def is_list(X: Any) -> bool:
    """Whether X is a list of sequences, and not of numbers: of arrays, or unequally long."""
    if not isinstance(X, (list, tuple)) or not X:
        return False
    if any(isinstance(x, np.ndarray) and x.ndim for x in X):
        return True
    sized = all(hasattr(x, "__len__") for x in X)
    return sized and len({len(x) for x in X}) > 1


# ---------------------------------------------------------------------------------- sequences


def read_sequences(
    name: str, X: Any, net: Network, check_finite: bool = True, lengths: Any = None
) -> Input:
    """`X` as (N, T, I), or (N, T) indices for an embedding, or a list of (T_i, I) or (T_i,).

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    X : array-like or list
    net : Network
    check_finite : bool
        Whether NaN and infinities are refused.
    lengths : array-like of N integers, optional
        Steps of each padded sequence, 1 .. T; for all T without.

    Raises
    ------
    TypeError, ValueError
        As `checks` does; lengths that do not fit; an empty sequence.
    """
    if is_list(X):
        if lengths is not None:
            raise ValueError(f"lengths are for padded sequences; {name} is a list of sequences")
        return _listed(name, X, net, check_finite)
    if lengths is None:
        whole = (
            _tokens(name, X, net) if net.embedding else checks.sequences(name, X, net, check_finite)
        )
        return Input(padded(whole), whole.shape[1])
    array = checks.real(name, X)
    checks.shape_of_sequences(name, array.shape, net)
    N, T = array.shape[:2]
    counts = read_lengths(lengths, N, T)
    array = np.array(array)
    array[np.arange(T) >= counts[:, None]] = 0
    whole = (
        _tokens(name, array, net)
        if net.embedding
        else checks.sequences(name, array, net, check_finite)
    )
    return Input(padded(whole)._replace(lengths=counts), T)


def _tokens(name: str, X: Any, net: Network) -> np.ndarray:
    array = checks.real(name, X)
    checks.shape_of_sequences(name, array.shape, net)
    return checks.tokens(name, array, net)


def read_lengths(lengths: Any, N: int, T: int) -> np.ndarray:
    """`lengths` as (N,) int64, each in 1 .. T."""
    array = checks.real("lengths", lengths)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers; got dtype {array.dtype}")
    if array.shape != (N,):
        raise ValueError(f"lengths must have shape ({N},) for {N} sequences; got {array.shape}")
    wrong = (array < 1) | (array > T)
    if wrong.any():
        at = checks.first(wrong)
        raise ValueError(f"{checks.element('lengths', array, at)} is not in 1 .. {T}")
    return np.require(array, np.int64, ["C", "A"])


def _listed(name: str, X: Any, net: Network, check_finite: bool) -> Input:
    parts = []
    for i, x in enumerate(X):
        own = f"{name}[{i}]"
        array = checks.real(own, x)
        shape, wanted = ("(T,)", 1) if net.embedding else (f"(T, {net.input_size})", 2)
        if (
            array.ndim != wanted
            or array.size == 0
            or array.shape[1:] != (net.input_size,) * (wanted - 1)
        ):
            raise ValueError(
                f"{own} must have shape {shape}, the steps of a sequence, at least one; got "
                f"{array.shape}"
            )
        if net.embedding:
            parts.append(checks.tokens(own, array, net))
        else:
            parts.append(checks.cast(own, array, net.dtype, check_finite))
    lengths = np.array([len(part) for part in parts], np.int64)
    rows = np.require(np.concatenate(parts), None, ["C", "A"])
    return Input(Sequences(rows, np.cumsum(lengths) - lengths, lengths), None)


def step_rows(name: str, value: Any, given: Input, columns: int) -> np.ndarray:
    """What belongs to every step as rows: (N, T), (N, T, columns), or a list of the like.

    The result is (rows,) for 0 columns, else (rows, columns).
    """
    ends: tuple[tuple[int, ...], ...] = ((),) if columns == 0 else ((columns,),)
    if columns == 1:
        ends = ((), (1,))
    if given.steps is not None:
        array = checks.real(name, value)
        shapes = [(len(given), given.steps, *end) for end in ends]
        if array.shape not in shapes:
            raise ValueError(
                f"{name} must have shape {' or '.join(map(str, shapes))}, samples by steps; got "
                f"{array.shape}"
            )
        return array.reshape(-1, *ends[-1])
    if not isinstance(value, (list, tuple)) or len(value) != len(given):
        raise ValueError(f"{name} must be a list of {len(given)} arrays, as the sequences are")
    parts = []
    for i, (own, n) in enumerate(zip(value, given.sequences.lengths.tolist(), strict=True)):
        array = checks.real(f"{name}[{i}]", own)
        shapes = [(n, *end) for end in ends]
        if array.shape not in shapes:
            raise ValueError(
                f"{name}[{i}] must have shape {' or '.join(map(str, shapes))}; got {array.shape}"
            )
        parts.append(array.reshape(-1, *ends[-1]))
    return np.concatenate(parts)
