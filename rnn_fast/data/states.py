"""Initial and final states, between PyTorch's form and the form of the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout.network import Network
from . import checks
from .arrays import real


def read_state(
    value: Any,
    N: int,
    net: Network,
    trains: bool = False,
    *,
    name: str = "initial_state",
    check_finite: bool = True,
) -> np.ndarray | None:
    """Return an initial state as (N, states, runs, H); None stays None.

    Parameters
    ----------
    value : array-like, or a pair of them, or None
        PyTorch's form: (runs, N, H), and for a cell with two states a pair (h, c).
    N : int
        Number of sequences.
    net : Network
    trains : bool
        Whether the state is for training.
    name : str
        Name of the argument, for messages.
    check_finite : bool
        Whether NaN and infinities are refused.

    Raises
    ------
    TypeError, ValueError
        `value` does not fit, or a model that learns its initial state is to train from another.
    """
    if value is None:
        return None
    if trains and net.learned_state:
        raise ValueError(
            "initial_state: a model with learn_initial_state=True trains from its learned state"
        )
    shape = (net.runs, N, net.hidden_size)
    parts = [value]
    if net.states == 2:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise TypeError(
                f"{name} must be a pair (h, c) of shapes {shape} for cell {net.cell}; got "
                f"{type(value).__name__}"
            )
        parts = list(value)
    arrays = []
    for part in parts:
        array = real(name, part)
        if array.shape != shape:
            raise ValueError(
                f"{name} must have shape {shape}, layers times directions by samples by "
                f"units; got {array.shape}"
            )
        arrays.append(checks.cast(name, array, net.dtype, check_finite))
    return np.ascontiguousarray(np.stack(arrays).transpose(2, 0, 1, 3))


def public_state(state: np.ndarray) -> Any:
    """Return a state (N, states, runs, H) in PyTorch's form."""
    h, *c = np.ascontiguousarray(state.transpose(1, 2, 0, 3))
    return (h, c[0]) if c else h


def slice_state(value: Any, net: Network, start: int, stop: int) -> Any:
    """Return the states of sequences start .. stop - 1, in PyTorch's form; None stays None."""
    if value is None:
        return None
    if net.states > 1 and isinstance(value, (list, tuple)):
        return [_sliced(part, start, stop) for part in value]
    return _sliced(value, start, stop)


def _sliced(part: Any, start: int, stop: int) -> np.ndarray:
    is_array = getattr(part, "ndim", 0) == 3 and hasattr(part, "dtype")  # a memoryview is not cut
    array = part if is_array else real("initial_state", part)
    if array.ndim != 3:
        raise ValueError(
            "initial_state must have three axes, layers times directions by samples by units; got "
            f"shape {array.shape}"
        )
    return array[:, start:stop]
