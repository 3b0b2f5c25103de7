"""The leaky unit whose state is a rate.

With h' for h_{t-1}, and alpha = dt / tau, fixed or learned::

    h = (1 - alpha) h' + alpha f(Wxh x + bh + Whh h')        f = tanh or relu

Euler's step of ``tau dh/dt = -h + f(Wxh x + bh + Whh h)``; Yang et al., Nature Neuroscience 22
(2019).  A step keeps f(a) in the row of `a`.
"""

from __future__ import annotations

from ...jit import kernel
from ...simd import flush, fma, load, store, width
from .leaky import add_leak_gradient, alpha_of
from .simple import activate, activate_backward


@kernel
def forward(cell, step):
    """h_t; the row a becomes f(a)."""
    for j in range(0, step.n, width(step.a)):
        r, h_prev = activate(cell, load(step.a + j)), load(step.h_prev + j)
        store(step.a + j, r)
        store(step.h + j, fma(alpha_of(cell, step, j), r - h_prev, h_prev))


@kernel
def backward(cell, step, grads):
    """da_t, and of a learned alpha dleak; dh becomes dh_{t-1} without its product."""
    for j in range(0, step.n, width(step.a)):
        r, h_prev, dh = load(step.a + j), load(step.h_prev + j), load(grads.dh + j)
        alpha = alpha_of(cell, step, j)
        # h = h' + alpha (r - h'), r = f(a)
        dr = alpha * dh
        add_leak_gradient(cell, grads, j, dr * (r - h_prev), alpha)
        store(grads.da + j, activate_backward(cell, dr, r))
        store(grads.dh + j, flush(dh - dr))
