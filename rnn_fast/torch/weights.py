"""Parameters of PyTorch's layers as one flat vector, and gradients back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..cells.specs import CELLS
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.parameters import gate_rows, parameter_views


def endings(net: Network) -> list[str]:
    """Return the endings of the parameter names of each run, in the order of PyTorch's weights."""
    return [
        (f"_l{layer}" if layer else "") + ("_reverse" if direction else "")
        for layer in range(net.layers)
        for direction in range(net.directions)
    ]


def second_biases(net: Network) -> list[tuple[str, slice]]:
    """Return name and rows of each vector that PyTorch has as a part of ``bias_hh``.

    The other rows of ``bias_ih`` and ``bias_hh`` only ever meet as a sum.
    """
    return [(row.bias, gate_rows(net, row.gate)) for row in CELLS[net.cell].rows if row.bias]  # type: ignore[arg-type]


def packed(net: Network, weights: Sequence[torch.Tensor]) -> np.ndarray:
    """Copy the weights of all runs into a new flat vector (n_parameters,).

    Parameters
    ----------
    net : Network
    weights : sequence of torch.Tensor
        Of each run: weight_ih (G H, I), weight_hh (G H, H), and if there are biases bias_ih and
        bias_hh (G H,).
    """
    flat = aligned(net.n_parameters, net.dtype)
    views, n = parameter_views(flat, net), len(weights) // net.runs
    arrays = [weight.detach().numpy() for weight in weights]
    for run, end in enumerate(endings(net)):
        Wxh, Whh, *biases = arrays[run * n : (run + 1) * n]
        put(views[f"Wxh{end}"], Wxh)
        put(views[f"Whh{end}"], Whh)
        if biases:
            ih, hh = biases
            put(views[f"bh{end}"], ih + hh)
            for name, rows in second_biases(net):
                put(views[f"bh{end}"][rows], ih[rows])
                put(views[f"{name}{end}"], hh[rows])
    return flat


def put(to: np.ndarray, array: np.ndarray) -> None:
    """Copy an array without change of shape or dtype.

    Raises
    ------
    RuntimeError
        It has another shape or dtype.
    """
    if array.shape != to.shape or array.dtype != to.dtype:
        raise RuntimeError(
            f"a weight must have shape {to.shape} and dtype {to.dtype}; "
            f"got {array.shape} and {array.dtype}"
        )
    to[...] = array


def unpacked(net: Network, gradients: np.ndarray, n: int) -> list[torch.Tensor]:
    """Return the gradients of all weights, `n` of each run, as tensors of their own."""
    views = parameter_views(gradients, net)
    found: list[torch.Tensor] = []
    for end in endings(net):
        parts = [views[f"Wxh{end}"].copy(), views[f"Whh{end}"].copy()]
        if n > len(parts):
            ih, hh = views[f"bh{end}"].copy(), views[f"bh{end}"].copy()
            for name, rows in second_biases(net):
                hh[rows] = views[f"{name}{end}"]
            parts += [ih, hh]
        found += map(torch.from_numpy, parts)
    return found
