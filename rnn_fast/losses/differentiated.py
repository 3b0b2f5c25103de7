"""Losses written in PyTorch or JAX, for the argument `loss` of `fit`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .._optional import extra

Loss = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def from_torch(function: Callable[[Any, Any, Any], Any]) -> Loss:
    """Return a loss for `fit` from a function in PyTorch, which PyTorch differentiates.

    Parameters
    ----------
    function : callable
        ``function(outputs, targets, weights)`` returns a tensor with one number.  The arguments
        are tensors on the CPU, as `fit` says, of the model's dtype; the outputs are logits.

    Raises
    ------
    ImportError
        PyTorch is not installed.
    """
    torch = extra("torch", "torch")

    @functools.wraps(function)
    def loss(
        outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[float, np.ndarray]:
        with torch.enable_grad():
            z = torch.from_numpy(outputs).requires_grad_()
            value = function(z, torch.from_numpy(targets), torch.from_numpy(weights))
            (gradient,) = torch.autograd.grad(value, z)
        return float(value.detach()), gradient.numpy()

    return loss


def from_jax(function: Callable[[Any, Any, Any], Any]) -> Loss:
    """Return a loss for `fit` from a function in JAX, which JAX compiles and differentiates.

    It is compiled once for each shape of a batch.  With JAX's defaults the arithmetic is float32.

    Parameters
    ----------
    function : callable
        ``function(outputs, targets, weights)`` returns an array with one number.  The arguments
        are arrays of JAX, as `fit` says; the outputs are logits.

    Raises
    ------
    ImportError
        JAX is not installed.
    """
    jax = extra("jax", "jax")
    both = jax.jit(jax.value_and_grad(function))

    @functools.wraps(function)
    def loss(
        outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[float, np.ndarray]:
        value, gradient = both(outputs, targets, weights)
        return float(value), np.asarray(gradient, outputs.dtype)

    return loss
