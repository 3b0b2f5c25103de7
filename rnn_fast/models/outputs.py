"""Outputs of a network, between rows and the form of the sequences they belong to."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.arrays import real
from ..data.sequences import Input
from ..layout.network import Network


def public_outputs(net: Network, inputs: Input, out: np.ndarray) -> Any:
    """Return outputs (rows or N, ...) in the form of the sequences, zero in the padding."""
    if not net.sequences:
        return out
    if (inside := inputs.inside) is not None:
        wide = inside.reshape(-1, *[1] * (out.ndim - 1))
        out = np.where(wide, out, out.dtype.type(0))
    return inputs.shaped(out)


def rows_of_outputs(name: str, value: Any, net: Network, inputs: Input) -> np.ndarray:
    """Return what has the form of `public_outputs` as rows (rows or N, O), of the net's dtype.

    Raises
    ------
    TypeError, ValueError
        `value` does not have the form of the outputs.
    """
    O, n = net.outputs, len(inputs)
    if net.sequences and inputs.steps is None:
        lengths = inputs.sequences.lengths.tolist()
        if not isinstance(value, (list, tuple)) or len(value) != n:
            raise TypeError(
                f"{name} must be a list of {n} arrays, as the outputs are; got "
                f"{type(value).__name__}"
            )
        parts = [
            _row_block(f"{name}[{i}]", part, (length,), net)
            for i, (part, length) in enumerate(zip(value, lengths, strict=True))
        ]
        return np.concatenate(parts)
    steps = (inputs.steps,) if net.sequences else ()
    return _row_block(name, value, (n, *steps), net).reshape(-1, O)


def _row_block(name: str, value: Any, shape: tuple[Any, ...], net: Network) -> np.ndarray:
    """Return a copy of numbers of a shape, with an axis of outputs, as rows."""
    array = real(name, value)
    whole = (*shape, *net.output_form)
    if array.shape not in (whole, (*shape, net.outputs)):
        raise ValueError(f"{name} must have the shape {whole} of the outputs; got {array.shape}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.array(array, net.dtype, order="C").reshape(-1, net.outputs)
