"""The GRU that resets before the product, gates r z n.

With h' for h_{t-1}::

    r = sigmoid(Wxr x + br + Whr h')     n = tanh(Wxn x + bn + Whn (r h'))
    z = sigmoid(Wxz x + bz + Whz h')     h = (1 - z) n + z h'

Cho et al., Learning phrase representations, EMNLP 2014, whose z is 1 - z here.  A step's rows are
r h', r, z, n.
"""

from __future__ import annotations

from ...jit import kernel
from ...simd import flush, fma, load, store, width
from ...simd.vector_math import tanh
from .types import sigmoid_of


@kernel
def reset(cell, step):
    """r, and r h_{t-1}, which the late product of n meets."""
    n, a = step.n, step.a
    sigmoid_of(a + n, n)
    for j in range(0, n, width(a)):
        store(a + j, load(a + (n + j)) * load(step.h_prev + j))


@kernel
def forward(cell, step):
    """h_t, from z and n."""
    n, a = step.n, step.a
    sigmoid_of(a + 2 * n, n)
    for j in range(0, n, width(a)):
        z, new = load(a + (2 * n + j)), tanh(load(a + (3 * n + j)))
        store(a + (3 * n + j), new)
        store(step.h + j, fma(z, load(step.h_prev + j) - new, new))


@kernel
def backward(cell, step, grads):
    """da_z and da_n; dh becomes the part of dh_{t-1} that goes through z."""
    n, a, da = step.n, step.a, grads.da
    for j in range(0, n, width(a)):
        z, new, dh = load(a + (2 * n + j)), load(a + (3 * n + j)), load(grads.dh + j)
        # h = n + z (h' - n)
        da_z = dh * (load(step.h_prev + j) - new) * fma(-1.0 * z, z, z)
        da_n = dh * (1.0 - z) * fma(-1.0 * new, new, 1.0)
        store(da + (n + j), flush(da_z))
        store(da + (2 * n + j), flush(da_n))
        store(grads.dh + j, flush(dh * z))


@kernel
def reset_backward(cell, step, grads):
    """da_r, and in dh the part of dh_{t-1} that goes through r h_{t-1}."""
    n, a = step.n, step.a
    for j in range(0, n, width(a)):
        r, dr = load(a + (n + j)), load(grads.dlate + j)
        # r h'
        store(grads.da + j, flush(dr * load(step.h_prev + j) * fma(-1.0 * r, r, r)))
        store(grads.dh + j, fma(dr, r, load(grads.dh + j)))
