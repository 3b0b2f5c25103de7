"""A short way for small, plain arrays, whose checks would take longer than their arithmetic.

An array that is unusual in any way, or wrong, takes the long way by `sequences` and `targets`,
which says what is wrong.  What is returned here is copied before it is checked, so that nobody else
can write to it.
"""

from __future__ import annotations

import math
import weakref
from typing import Any

import numpy as np

from ..layout.network import Network
from ..losses import LOSSES
from ..losses.measures import quiet
from ..validation import DTYPES
from .blocks import Block
from .rows import Targets, padded
from .sequences import Input

SMALL = 1 << 14  #: numbers, which take 2 us to copy


def all_none(*arguments: Any) -> bool:
    """Return whether all arguments are None, which the short way does not take."""
    return all([each is None for each in arguments])


def plain_block(net: Network, X: Any, y: Any, check_finite: bool) -> Block | None:
    """Return sequences and targets as a block, if they are plain; y is None if there are none."""
    inputs = plain_sequences(net, X, check_finite)
    if inputs is None:
        return None
    if y is None:
        return Block(inputs, None, None)
    targets = plain_targets(net, y, inputs, check_finite)
    return None if targets is None else Block(inputs, targets, None)


def plain_sequences(net: Network, X: Any, check_finite: bool) -> Input | None:
    """Return sequences, if they are a small array (N, T, I) of float32 or float64, else None."""
    if net.embedding or not (is_plain(X) and X.dtype in DTYPES):
        return None
    x = converted(X, net.dtype)
    if x.ndim != 3 or x.shape[2] != net.input_size or not x.size:
        return None
    if check_finite and not math.isfinite(np.vdot(x, x)):
        return None
    return Input(padded(x), x.shape[1])


def plain_targets(net: Network, y: Any, inputs: Input, check_finite: bool) -> Targets | None:
    """Return the targets of plain sequences, if they are a small array, else None."""
    if not is_plain(y) or y.dtype.kind not in "iuf":
        return None
    axes, loss = net.target_shape, LOSSES[net.loss]
    shape: tuple[int | None, ...] = (len(inputs),)
    if net.sequences:
        shape = (len(inputs), inputs.steps)
    if loss.takes_classes and not (y.dtype.kind in "iu" and net.output_size < 2**22):
        return None  # whole numbers that float32 tells apart
    values = converted(y, net.dtype)
    if values.shape != shape + axes and not (axes == (1,) and values.shape == shape):
        return None
    low, high = (0, net.output_size - 1) if loss.takes_classes else loss.bounds or (None, None)
    if values.size == 1:
        least = most = values.item()
    elif low is not None:
        least, most = values.min(), values.max()
    else:
        least = most = np.vdot(values, values)
    if low is not None and not (low <= least and most <= high):
        return None
    if check_finite and not math.isfinite(most):
        return None
    return Targets(values.reshape(-1, math.prod(axes)), None)


def is_plain(array: Any) -> bool:
    """Return whether something is a small array in the memory of an array, and of no one else."""
    if type(array) is not np.ndarray or not 0 < array.size <= SMALL:
        return False
    owner = array.base
    return owner is None or (type(owner) is np.ndarray and owner.base is None)


def converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return a C-contiguous copy of a dtype; numbers that are too large become infinite.

    Its shape and its numbers are to be checked: those of `array` may change in another thread.
    """
    # NumPy resizes no array that has a weak reference, and copies without the lock of Python
    pin = weakref.ref(array if array.base is None else array.base)
    if array.dtype == dtype:
        copy = array.astype(dtype, "C")
    else:
        with quiet():
            copy = array.astype(dtype, "C")
    del pin
    return copy
