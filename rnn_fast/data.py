"""The border between the user's data and the kernels': sequences, targets, weights, states.

The user holds padded arrays with lengths, or lists of sequences; the kernels take rows of all
sequences one behind the other (`compute.Sequences`).  Values are checked by `checks`; what stands
in padding, or at a step that does not count, is never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from . import checks
from .compute import Sequences, Targets, padded
from .layout import Network


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


def sequences(
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
    _check_shape(name, array, net)
    N, T = array.shape[:2]
    counts = _lengths(lengths, N, T)
    array = np.array(array)
    array[np.arange(T) >= counts[:, None]] = 0
    whole = (
        _tokens(name, array, net)
        if net.embedding
        else checks.sequences(name, array, net, check_finite)
    )
    return Input(padded(whole)._replace(lengths=counts), T)


def check_shape(name: str, shape: tuple[int, ...], dtype: np.dtype, net: Network) -> None:
    """Check that what has a shape and a dtype can be sequences, as `sequences` does.

    Raises
    ------
    ValueError
        It cannot.
    """
    _check_shape(name, np.broadcast_to(np.zeros((), dtype), shape), net)


def _check_shape(name: str, array: np.ndarray, net: Network) -> None:
    if net.embedding:
        if array.ndim != 2 or array.size == 0:
            raise ValueError(
                f"{name} must have shape (N, T), samples by steps of indices, none of them 0; got "
                f"{array.shape}"
            )
    else:
        checks.sequences(name, array, net, check_finite=False)


def _tokens(name: str, X: Any, net: Network) -> np.ndarray:
    array = checks.real(name, X)
    _check_shape(name, array, net)
    return checks.tokens(name, array, net)


def _lengths(lengths: Any, N: int, T: int) -> np.ndarray:
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


# ------------------------------------------------------------------------------------ targets


def targets(
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
        shown = _rows("mask", mask, given, 0)
        if shown.dtype != bool:
            raise TypeError(f"mask must hold bool; got dtype {shown.dtype}")
        counts = shown if counts is None else shown & counts
        if not (part or counts.any()):
            raise ValueError("mask lets no step count")
    if not net.sequences:
        values = checks.targets(name, y, len(given), net, check_finite)
    else:
        values = _rows(name, y, given, net.target_size)
        if counts is not None:
            values = np.where(counts[:, None], values, np.zeros((), values.dtype))
        values = _values(name, values, y, given, net, check_finite)
    weights = None
    if sample_weight is not None:
        weights = _sample_weight(sample_weight, given, net, counts, part)
    if class_weight is not None:
        own = _class_weight(class_weight, values, counts, net)
        weights = own if weights is None else weights * own
    if mask is not None:
        weights = counts if weights is None else weights * counts
    if weights is not None:
        weights = np.require(weights, net.dtype, ["C", "A"])
        if not (part or (weights if counts is None else weights[counts]).any()):
            raise ValueError("all weights are 0")
    return Targets(values, weights)


def _values(
    name: str, rows: np.ndarray, y: Any, given: Input, net: Network, check_finite: bool
) -> np.ndarray:
    """Targets of every row, checked; errors name the place in `y` as it was given."""
    if given.steps is not None:
        checked = checks.target_values(name, rows.reshape(np.shape(y)), net, check_finite)
        return checked.reshape(rows.shape)
    for i, own in enumerate(given.shaped(rows)):
        checks.target_values(f"{name}[{i}]", own.reshape(np.shape(y[i])), net, check_finite)
    return checks.target_values(name, rows, net, check_finite)


def _rows(name: str, value: Any, given: Input, columns: int) -> np.ndarray:
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


# ------------------------------------------------------------------------------------ weights


def _sample_weight(
    value: Any, given: Input, net: Network, counts: np.ndarray | None, part: bool
) -> np.ndarray:
    """(N,), or (rows,) of a model with an output after every step."""
    lengths = given.sequences.lengths
    per_sequence = not isinstance(value, (list, tuple)) or not is_list(value)
    array = checks.real("sample_weight", value) if per_sequence else None
    if array is not None and array.shape == (len(given),):
        _check_weights("sample_weight", array, part)
        if not net.sequences:
            return array
        n = lengths if given.steps is None else np.full(len(given), given.steps)
        return np.repeat(array, n)
    if not net.sequences:
        got = "a list" if array is None else array.shape
        raise ValueError(f"sample_weight must have shape ({len(given)},); got {got}")
    rows = _rows("sample_weight", value, given, 0)
    if counts is not None:
        rows = np.where(counts, rows, 0)
    _check_weights("sample_weight", rows if given.steps is None else given.shaped(rows), part)
    return rows


def _check_weights(name: str, array: np.ndarray, part: bool = False) -> None:
    with np.errstate(invalid="ignore"):
        wrong = ~((array >= 0) & (array < np.inf))
    if wrong.any():
        at = checks.first(wrong)
        raise ValueError(f"{checks.element(name, array, at)} is not a finite weight of at least 0")
    if not (part or array.any()):
        raise ValueError(f"{name} must not be 0 everywhere")


def _class_weight(
    value: Any, values: np.ndarray, counts: np.ndarray | None, net: Network
) -> np.ndarray:
    """The weight of each target's class."""
    if net.loss != "cross_entropy" and not (net.loss == "bce" and net.output_size == 1):
        raise ValueError("class_weight is for loss cross_entropy, or bce with one output")
    labels = _labels(values, net)
    n_classes = _n_classes(net)
    if isinstance(value, str):
        seen = labels if counts is None else labels[counts]
        value = balanced(value, np.bincount(seen, minlength=n_classes))
    if isinstance(value, Mapping):
        weights = np.ones(n_classes)
        for label, weight in value.items():
            if isinstance(label, bool) or label not in range(n_classes):
                raise ValueError(
                    f"class_weight[{label!r}] is none of the classes 0 .. {n_classes - 1}"
                )
            weights[int(label)] = weight
        _check_weights("class_weight", weights)
    else:
        raise TypeError(f"class_weight must be a dict or 'balanced'; got {type(value).__name__}")
    return weights[labels]


def _n_classes(net: Network) -> int:
    return net.output_size if net.loss == "cross_entropy" else 2


def _labels(values: np.ndarray, net: Network) -> np.ndarray:
    classes = values[:, 0] if net.loss == "cross_entropy" else values[:, 0] > 0.5
    return classes.astype(np.int64)


def class_counts(given: Input, targets: Targets, net: Network) -> np.ndarray:
    """How often each class is among the targets that weigh something."""
    labels = _labels(targets.y, net)
    if targets.weights is not None:
        labels = labels[targets.weights > 0]
    elif net.sequences and (inside := given.inside) is not None:
        labels = labels[inside]
    return np.bincount(labels, minlength=_n_classes(net))


def balanced(value: str, counts: np.ndarray) -> dict[int, float]:
    """The weights that "balanced" stands for: each class by the reciprocal of its frequency.

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


# -------------------------------------------------------------------------------------- state


def initial_state(value: Any, N: int, net: Network, trains: bool = False) -> np.ndarray | None:
    """PyTorch's form, (runs, N, H) or for the LSTM a pair of them, as (N, states, runs, H).

    Raises
    ------
    TypeError, ValueError
        What does not fit; also, where the model `trains`, if it learns a state of its own.
    """
    if value is None:
        return None
    if trains and net.learned_state:
        raise ValueError("initial_state: a model with learn_initial_state=True trains from its own")
    shape = (net.runs, N, net.hidden_size)
    parts = [value]
    if net.states == 2:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise TypeError(f"initial_state of an LSTM must be a pair (h, c) of shapes {shape}")
        parts = list(value)
    arrays = []
    for part in parts:
        array = checks.real("initial_state", part)
        if array.shape != shape:
            raise ValueError(
                f"initial_state must have shape {shape}, layers times directions by samples by "
                f"units; got {array.shape}"
            )
        arrays.append(checks.cast("initial_state", array, net.dtype, True))
    return np.ascontiguousarray(np.stack(arrays).transpose(2, 0, 1, 3))


def public_state(state: np.ndarray) -> Any:
    """The reverse of `initial_state`."""
    h, *c = np.ascontiguousarray(state.transpose(1, 2, 0, 3))
    return (h, c[0]) if c else h
