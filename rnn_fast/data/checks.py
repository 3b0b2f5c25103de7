"""Checks of arrays, and their conversion to arrays that the kernels take.

Results are C-contiguous, aligned, native arrays of the model's dtype.  Numbers that only enter
arithmetic may stay in the user's memory, if they are such an array; anything else is copied.
Numbers that become addresses, tokens and lengths and class indices, are copied before they are
checked, for the user may still write to an array: 0.2 s a GB.  No input is ever written to.

Every check raises `TypeError` for values that are not real numbers, and `ValueError` for wrong
shapes and wrong values.  The message names the argument, its value and the expected one.  With
`check_finite`, NaN, infinities and values too large for the dtype are refused.  Class indices are
always checked, because they become addresses.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..layout.network import Network
from ..losses import LOSSES
from .arrays import real


def sequences(name: str, X: Any, net: Network, check_finite: bool = True) -> np.ndarray:
    """Return array-like `X` of bool, int or float as an array (N, T, I) with N, T >= 1."""
    array = real(name, X)
    shape_of_sequences(name, array.shape, net)
    return cast(name, array, net.dtype, check_finite, of_steps=True)


def shape_of_sequences(name: str, shape: tuple[int, ...], net: Network) -> None:
    """Check that sequences have the shape (N, T, I), or with an embedding (N, T)."""
    expected, axes = f"(N, T, {net.input_size})", "samples by steps by features, none of them 0"
    if net.embedding:
        expected, axes = "(N, T)", "samples by steps of indices, none of them 0"
    features = () if net.embedding else (net.input_size,)
    if len(shape) < 2 or shape[2:] != features or 0 in shape:
        flat = len(shape) == 2 and net.input_size == 1
        hint = "; one feature per step is X[:, :, None]" if flat and not net.embedding else ""
        raise ValueError(f"{name} must have shape {expected}, {axes}; got {shape}{hint}")


def targets(
    name: str,
    y: Any,
    N: int,
    net: Network,
    check_finite: bool = True,
    steps: int | None = None,
) -> np.ndarray:
    """Return targets `y` of N sequences as an array (N, target_size).

    Parameters
    ----------
    name : str
        Name of the argument, for messages.
    y : array-like of bool, int or float
        (N, target_size); (N,) will do where a target is one number.  Class indices are whole
        numbers in 0 .. O - 1; other values lie within the bounds of the loss.
    N : int
        Number of sequences.
    net : Network
    check_finite : bool
    steps : int or None
        T of padded sequences, for a hint.
    """
    array = shaped_targets(name, y, N, net, steps)
    return target_values(name, array, net, check_finite).reshape(N, net.target_size)


def shaped_targets(name: str, y: Any, N: int, net: Network, steps: int | None = None) -> np.ndarray:
    """Return targets of N sequences as an array, after a check of its shape; see `targets`."""
    array, shape = real(name, y), net.target_shape
    shapes = [(N,), (N, 1)] if shape == (1,) else [(N, *shape)]
    if array.shape not in shapes:
        hint = one_hot_hint(array, net)
        if array.shape[:2] == (N, steps) and not hint:
            hint = "; targets of every step need return_sequences=True"
        raise ValueError(
            f"{name} must have shape {' or '.join(map(str, shapes))} for {N} sequences and "
            f"{purpose(net)}; got {array.shape}{hint}"
        )
    return array


def tokens(name: str, X: Any, net: Network) -> np.ndarray:
    """Return array-like `X` of integers in 0 .. vocabulary - 1, of any shape, as int64."""
    array = real(name, X)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, for the embedding; got dtype {array.dtype}")
    indices = np.array(array, np.int64, order="C")  # beyond int64 they are negative
    wrong = (indices < 0) | (indices >= net.input_size)
    if wrong.any():
        raise ValueError(
            f"{element(name, array, first(wrong))} is not in the vocabulary 0 .. "
            f"{net.input_size - 1}"
        )
    return indices


def sequence_or_batch(name: str, x: Any, net: Network) -> np.ndarray:
    """Return `x` as a fresh array: one sequence (T, I), or a batch (B, T, I).

    One sequence may be columns (T, I, 1) as well.  So with I = 1, (T, 1, 1) is one sequence of T
    steps, never T sequences of one step.  With an embedding the shapes are (T,) and (B, T).
    """
    array = real(name, x)
    if net.embedding:
        if array.ndim not in (1, 2) or array.size == 0:
            raise ValueError(
                f"{name} must have shape (T,), one sequence, or (B, T), a batch, without axes of "
                f"0; got {array.shape}"
            )
        return tokens(name, array, net)
    if array.ndim == 3 and array.shape[1:] == (net.input_size, 1):
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or array.shape[-1] != net.input_size or array.size == 0:
        raise ValueError(
            f"{name} must have shape (T, {net.input_size}) or (T, {net.input_size}, 1), one "
            f"sequence, or (B, T, {net.input_size}), a batch, without axes of 0; got {array.shape}"
        )
    return np.array(cast(name, array, net.dtype, True))


def target(name: str, y: Any, net: Network) -> np.ndarray:
    """Return the target `y` of one sequence as (target_size,).

    A column (target_size, 1) will do, and where a target is one number, a number.
    """
    array = real(name, y)
    shape = net.target_shape
    if array.shape not in [shape, (*shape, 1)] and not (shape == (1,) and array.ndim == 0):
        expected = f"{shape} or {(*shape, 1)}"
        raise ValueError(
            f"{name} must have shape {expected} for one sequence and {purpose(net)}; "
            f"got {array.shape}"
        )
    return target_values(name, array, net, True).reshape(net.target_size)


def parameter(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `value` as a finite array of `shape`; a vector may be a column."""
    array = real(name, value)
    if array.shape != shape and not (len(shape) == 1 and array.shape == (*shape, 1)):
        raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
    return cast(name, array, dtype, True).reshape(shape)


def all_finite(array: np.ndarray) -> bool:
    """Return whether a contiguous array holds neither NaN nor an infinity.

    The sum of the squares tells in one pass without temporaries, unless it overflows.  `vdot` does
    not warn of an overflow.
    """
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def cast(
    name: str, array: np.ndarray, dtype: np.dtype, check_finite: bool, of_steps: bool = False
) -> np.ndarray:
    """Return `array` as the kernels take it, in the same shape.

    of_steps : bool
        Whether its axes are samples by steps, for a hint.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        result = np.require(array, dtype, ["C", "A"])
    if check_finite and not all_finite(result):
        at = first(~np.isfinite(result))
        why = f"too large for {dtype}" if np.isfinite(array[at]) else "not finite"
        hint = (
            "; steps of padding are left out by lengths" if of_steps and nan_padded(result) else ""
        )
        raise ValueError(f"{element(name, array, at)} is {why}{hint}")
    return result


def nan_padded(array: np.ndarray) -> bool:
    """Return whether NaN fills up sequences (N, T, ...): after a NaN step come NaN steps only."""
    steps = np.isnan(array).reshape(*array.shape[:2], -1)
    last = steps.all(2)
    tails = (last[:, 1:] >= last[:, :-1]).all() and not last[:, 0].any()
    return bool(tails and last.any() and (steps.any(2) == last).all())


def purpose(net: Network) -> str:
    """Describe the model that targets are for, for messages."""
    if LOSSES[net.loss].takes_classes:
        return f"{net.loss}, which takes class indices"
    return f"{net.target_size} output{'s' * (net.target_size > 1)}"


def one_hot_hint(array: np.ndarray, net: Network) -> str:
    """Return what to do about one-hot labels, for messages; nothing for other targets."""
    if not LOSSES[net.loss].takes_classes or array.shape[-1:] != (net.output_size,):
        return ""
    one_hot = ((array == 0) | (array == 1)).all() and (array.sum(-1) == 1).all()
    return "; one-hot labels become class indices by argmax(-1)" if one_hot else ""


def target_values(
    name: str, array: np.ndarray, net: Network, check_finite: bool, of_steps: bool = False
) -> np.ndarray:
    """Return targets `array` as the kernels take it, after a check against the loss."""
    loss = LOSSES[net.loss]
    with np.errstate(invalid="ignore"):
        if loss.takes_classes:
            array = np.array(array)
            check_classes(name, array, net)
        values = cast(name, array, net.dtype, check_finite, of_steps)
        low, high = loss.bounds or (-np.inf, np.inf)
        if values.min() < low or values.max() > high:  # NaN passes
            wrong = (values < low) | (values > high)
            raise ValueError(f"{element(name, array, first(wrong))} is not in [{low:g}, {high:g}]")
    return values


def check_classes(name: str, array: np.ndarray, net: Network) -> None:
    """Raise ValueError for numbers that are no classes, or that the dtype does not tell apart."""
    whole = array.dtype.kind != "f" or array == np.floor(array)
    wrong = ~((array >= 0) & (array < net.output_size) & whole)
    if wrong.any():
        raise ValueError(
            f"{element(name, array, first(wrong))} is none of the classes 0 .. "
            f"{net.output_size - 1}"
        )
    # `cross_entropy` compares with label - 1/2 and label + 1/2
    largest = 2 ** np.finfo(net.dtype).nmant - 1
    if net.output_size > largest and array.max() > largest:
        raise ValueError(
            f"{element(name, array, first(array > largest))} is too large for {net.dtype}, which "
            f"tells the classes 0 .. {largest} apart"
        )


def first(wrong: np.ndarray) -> tuple[int, ...]:
    """Return the index of the first True, in C order."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))


def element(name: str, array: np.ndarray, at: tuple[int, ...]) -> str:
    """Return the text ``name[i, j] = value``."""
    index = f"[{', '.join(map(str, at))}]" if at else ""
    return f"{name}{index} = {array[at]!s}"
