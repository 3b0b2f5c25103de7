"""The leaky unit whose state is a membrane's potential, and whose output is a rate.

With h' for h_{t-1}, the rate, c' for the potential, and alpha = dt / tau, fixed or learned::

    c = (1 - alpha) c' + alpha (Wxh x + bh + Whh h')    h = f(c)        f = tanh or relu

Euler's step of ``tau dc/dt = -c + Wxh x + bh + Whh f(c)``; Song, Yang and Wang, PLOS Computational
Biology 12 (2016).
"""

from __future__ import annotations

from ...jit import kernel
from ...simd import flush, fma, load, store, width
from .leaky import add_leak_gradient, alpha_of
from .simple import activate, activate_backward


@kernel
def forward(cell, step):
    """c_t and h_t."""
    for j in range(0, step.n, width(step.a)):
        c_prev = load(step.c_prev + j)
        c = fma(alpha_of(cell, step, j), load(step.a + j) - c_prev, c_prev)
        store(step.c + j, c)
        store(step.h + j, activate(cell, c))


@kernel
def backward(cell, step, grads):
    """da_t, and of a learned alpha dleak; dc becomes dc_{t-1}."""
    for j in range(0, step.n, width(step.a)):
        alpha = alpha_of(cell, step, j)
        # h = f(c)
        dc = load(grads.dc + j) + activate_backward(cell, load(grads.dh + j), load(step.h + j))
        # c = c' + alpha (a - c'): alpha (a - c') is c - c'
        add_leak_gradient(cell, grads, j, dc * (load(step.c + j) - load(step.c_prev + j)), alpha)
        da = flush(alpha * dc)
        store(grads.da + j, da)
        store(grads.dc + j, flush(dc - da))
