"""Initial and final states, between PyTorch's form and the kernels'."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout.network import Network
from . import checks


def read_state(value: Any, N: int, net: Network, trains: bool = False) -> np.ndarray | None:
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
