"""Parts that both forms of the leaky unit share: alpha, fixed or learned."""

from __future__ import annotations

from ...jit import kernel, overloads
from ...simd import fill, fma, load, store
from ...simd.vector_math import sigmoid


def learns(cell):
    """Return whether each unit learns its alpha, at compile time."""
    raise NotImplementedError


@overloads(learns)
def _learns(cell):
    has_leak = len(cell.spec.vectors) > 0
    return lambda cell: has_leak


@kernel
def alpha_of(cell, step, j):
    """alpha: an option, or the sigmoid of the unit's leak."""
    if learns(cell):
        return sigmoid(load(step.vectors + j))
    return fill(step.a + j, step.options[0])


@kernel
def add_leak_gradient(cell, grads, j, slope, alpha):
    """Add to dleak, given `slope`, the loss's slope in log(alpha).

    d alpha / d leak = alpha (1 - alpha)
    """
    if learns(cell):
        dleak = grads.dvectors + j
        store(dleak, fma(slope, 1.0 - alpha, load(dleak)))
