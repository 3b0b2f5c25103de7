"""The validation border of data: whatever the user holds becomes what the kernels take.

Results are C-contiguous, aligned, native arrays of the model's dtype.  An input that is such an
array already is passed on as it is, anything else is copied; no input is ever written to.

Every check raises `TypeError` for what cannot hold real numbers and `ValueError` for wrong shapes
and values, and says which argument, what was given and what is expected.  `check_finite` says
whether NaN, infinities and values too large for the dtype are refused; class indices always are
checked, for they become addresses.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from ..layout.network import Network
from ..losses import LOSSES


def sequences(name: str, X: Any, net: Network, check_finite: bool = True) -> np.ndarray:
    """`X`, array-like of bool, int or float, as an array (N, T, I) with N, T >= 1."""
    array = real(name, X)
    shape_of_sequences(name, array.shape, net)
    return cast(name, array, net.dtype, check_finite)


def shape_of_sequences(name: str, shape: tuple[int, ...], net: Network) -> None:
    """Check that sequences may have this shape: (N, T, I), or for an embedding (N, T)."""
    wanted, what = f"(N, T, {net.input_size})", "samples by steps by features, none of them 0"
    if net.embedding:
        wanted, what = "(N, T)", "samples by steps of indices, none of them 0"
    features = () if net.embedding else (net.input_size,)
    if len(shape) < 2 or shape[2:] != features or 0 in shape:
        flat = len(shape) == 2 and net.input_size == 1
        hint = "; one feature per step is X[:, :, None]" if flat and not net.embedding else ""
        raise ValueError(f"{name} must have shape {wanted}, {what}; got {shape}{hint}")


def targets(name: str, y: Any, count: int, net: Network, check_finite: bool = True) -> np.ndarray:
    """`y`, array-like of bool, int or float, as an array (N, O).

    For cross_entropy, whole numbers in 0 .. O - 1, as an array (N, 1); for bce in [0, 1].  Where
    one number per sample is due, (N,) does as well.  N is `count`, the number of sequences.
    """
    array = real(name, y)
    columns = net.target_size
    shapes = [(count,), (count, 1)] if columns == 1 else [(count, columns)]
    if array.shape not in shapes:
        raise ValueError(
            f"{name} must have shape {' or '.join(map(str, shapes))} for {count} sequences and "
            f"{purpose(net)}; got {array.shape}"
        )
    return target_values(name, array, net, check_finite).reshape(count, columns)


def tokens(name: str, X: Any, net: Network) -> np.ndarray:
    """`X`, array-like of integers in 0 .. vocabulary - 1, of any shape, as int64."""
    array = real(name, X)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, for the embedding; got dtype {array.dtype}")
    wrong = (array < 0) | (array >= net.input_size)
    if wrong.any():
        raise ValueError(
            f"{element(name, array, first(wrong))} is not in the vocabulary 0 .. "
            f"{net.input_size - 1}"
        )
    return np.require(array, np.int64, ["C", "A"])


def sequence_or_batch(name: str, x: Any, net: Network) -> np.ndarray:
    """`x` as a fresh array (T, I), from (T, I) or columns (T, I, 1), or (B, T, I).

    Columns are what has a last axis of 1 and a middle axis of I; with I = 1 this takes (T, 1, 1)
    for one sequence of T steps, never for T sequences of one step.
    """
    array = real(name, x)
    if net.embedding:
        if array.ndim not in (1, 2) or array.size == 0:
            raise ValueError(
                f"{name} must have shape (T,), one sequence, or (B, T), a batch, without axes of "
                f"0; got {array.shape}"
            )
        return np.array(tokens(name, array, net))
    if array.ndim == 3 and array.shape[1:] == (net.input_size, 1):
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or array.shape[-1] != net.input_size or array.size == 0:
        raise ValueError(
            f"{name} must have shape (T, {net.input_size}) or (T, {net.input_size}, 1), one "
            f"sequence, or (B, T, {net.input_size}), a batch, without axes of 0; got {array.shape}"
        )
    return np.array(cast(name, array, net.dtype, True))


def target(name: str, y: Any, net: Network) -> np.ndarray:
    """`y` of one sequence, (O,) or (O, 1) or, where one number is due, a number, as (O,)."""
    array = real(name, y)
    n = net.target_size
    if array.shape not in [(n,), (n, 1)] and not (n == 1 and array.ndim == 0):
        expected = f"({n},) or ({n}, 1)"
        raise ValueError(
            f"{name} must have shape {expected} for one sequence and {purpose(net)}; "
            f"got {array.shape}"
        )
    return target_values(name, array, net, True).reshape(n)


def parameter(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`value` as a finite array of `shape`; a bias may be a column."""
    array = real(name, value)
    if array.shape != shape and not (len(shape) == 1 and array.shape == (*shape, 1)):
        raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
    return cast(name, array, dtype, True).reshape(shape)


def all_finite(array: np.ndarray) -> bool:
    """Whether a contiguous array holds neither NaN nor an infinity.

    The sum of the squares tells in one pass without temporaries, unless it overflows, of which
    `vdot` does not warn.
    """
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def real(name: str, value: Any) -> np.ndarray:
    """`value` as an array of bool, int or float, of any shape and layout."""
    masks = sys.modules.get("numpy.ma")  # only where it has been imported can there be any
    if masks is not None and isinstance(value, masks.MaskedArray):
        raise TypeError(f"{name} is a masked array; fill the masked values or leave them out")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, equally long in each axis: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers; got dtype {array.dtype}")
    return array


def cast(name: str, array: np.ndarray, dtype: np.dtype, check_finite: bool) -> np.ndarray:
    """`array` as the kernels take it, same shape."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        result = np.require(array, dtype, ["C", "A"])
    if check_finite and not all_finite(result):
        at = first(~np.isfinite(result))
        why = f"too large for {dtype}" if np.isfinite(array[at]) else "not finite"
        raise ValueError(f"{element(name, array, at)} is {why}")
    return result


def purpose(net: Network) -> str:
    """Words on what shapes the targets."""
    if LOSSES[net.loss].takes_classes:
        return f"{net.loss}, which takes class indices"
    return f"{net.output_size} output{'s' * (net.output_size > 1)}"


def target_values(name: str, array: np.ndarray, net: Network, check_finite: bool) -> np.ndarray:
    """`array` as the kernels take it, same shape, its values fit for the loss."""
    loss = LOSSES[net.loss]
    with np.errstate(invalid="ignore"):
        if loss.takes_classes:
            whole = array.dtype.kind != "f" or array == np.floor(array)
            wrong = ~((array >= 0) & (array < net.output_size) & whole)
            if wrong.any():
                raise ValueError(
                    f"{element(name, array, first(wrong))} is none of the classes 0 .. "
                    f"{net.output_size - 1}"
                )
        values = cast(name, array, net.dtype, check_finite)
        low, high = loss.bounds or (-np.inf, np.inf)
        if values.min() < low or values.max() > high:  # NaN passes
            wrong = (values < low) | (values > high)
            raise ValueError(f"{element(name, array, first(wrong))} is not in [{low:g}, {high:g}]")
    return values


def first(wrong: np.ndarray) -> tuple[int, ...]:
    """Index of the first True, in C order."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))


def element(name: str, array: np.ndarray, at: tuple[int, ...]) -> str:
    """`name[i, j] = value`."""
    index = f"[{', '.join(map(str, at))}]" if at else ""
    return f"{name}{index} = {array[at]!s}"
