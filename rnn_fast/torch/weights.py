"""Parameters of PyTorch's layers as one flat vector, and gradients back."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch

from ..cells.specs import CELLS
from ..layout.network import Network, parameter_offsets
from ..layout.parameters import gate_rows


@functools.lru_cache(256)
def second_biases(net: Network) -> list[slice]:
    """Return the rows of ``bias_hh`` that are a vector of the cell, in the order of its vectors.

    The other rows of ``bias_ih`` and ``bias_hh`` only ever meet as a sum.
    """
    return [gate_rows(net, row.gate) for row in CELLS[net.cell].rows if row.bias and row.gate]


def packed(net: Network, weights: Sequence[torch.Tensor]) -> np.ndarray:
    """Return a copy of the weights of all runs as one flat vector (n_parameters,).

    Parameters
    ----------
    net : Network
    weights : sequence of torch.Tensor
        Of each run: weight_ih (G H, I), weight_hh (G H, H), and if there are biases bias_ih and
        bias_hh (G H,).

    Raises
    ------
    RuntimeError
        A weight has another shape or dtype.
    """
    second, parts = second_biases(net), []
    n = len(weights) // net.runs
    arrays = [weight.detach().numpy() for weight in weights]
    for k in range(0, len(weights), n):
        ih, hh, *biases = arrays[k : k + n]
        first, other = biases or [np.zeros(len(ih), net.dtype)] * 2
        bias = first + other
        for rows in second:
            bias[rows] = first[rows]
        parts.append(np.concatenate((ih, bias[:, None], hh), 1).reshape(-1))
        parts += [other[rows] for rows in second]
    flat = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if flat.shape != (net.n_parameters,) or flat.dtype != net.dtype:
        raise RuntimeError(
            f"weights must have the shapes of a layer of {net.features} inputs and "
            f"{net.hidden_size} units, and dtype {net.dtype}"
        )
    return flat


def unpacked(net: Network, gradients: np.ndarray, n: int) -> list[torch.Tensor]:
    """Return the gradients of all weights, `n` of each run, as tensors of their own."""
    at, H = parameter_offsets(net), net.hidden_size
    found: list[np.ndarray] = []
    for run, (start, end) in enumerate(zip(at.W, at.vectors, strict=True)):
        I, W = net.run_input(run), gradients[start:end].reshape(net.gates * H, -1)
        found += [W[:, :I].copy(), W[:, I + 1 :].copy()]
        if n > len(("weight_ih", "weight_hh")):
            first, other = W[:, I].copy(), W[:, I].copy()
            for k, rows in enumerate(second_biases(net)):
                other[rows] = gradients[end + k * H : end + (k + 1) * H]
            found += [first, other]
    return [torch.from_numpy(array) for array in found]
