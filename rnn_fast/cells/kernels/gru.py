"""The GRU, gates r z n, which resets after the product or before it.

With h' for h_{t-1}::

    r = sigmoid(Wxr x + br + Whr h')     n = tanh(Wxn x + bn + r (Whn h' + bhn))    after
    z = sigmoid(Wxz x + bz + Whz h')     n = tanh(Wxn x + bn + Whn (r h'))          before
    h = (1 - z) n + z h'

Cho et al., Learning phrase representations, EMNLP 2014, resets before; PyTorch and cuDNN after.
The letters are PyTorch's: Cho's z is 1 - z here.

After, a step's rows are n's part of x, r, z, and n's part of h, of which the first becomes n.
Before, they are r h', r, z, n.
"""

from __future__ import annotations

from ...jit import kernel
from ...simd import flush, fma, load, store, width
from ...simd.vector_math import tanh
from .types import sigmoid_of


@kernel
def forward_after(cell, step):
    """h_t of the GRU that resets after the product."""
    n, a = step.n, step.a
    sigmoid_of(a + n, 2 * n)  # in a loop of its own, see `lstm.forward`
    for j in range(0, n, width(a)):
        r, z = load(a + (n + j)), load(a + (2 * n + j))
        new = tanh(fma(r, load(a + (3 * n + j)), load(a + j)))
        store(a + j, new)
        store(step.h + j, fma(z, load(step.h_prev + j) - new, new))


@kernel
def backward_after(cell, step, grads):
    """da_t in the order of the rows; dh becomes what z hands on to h_{t-1}."""
    n, a, da = step.n, step.a, grads.da
    for j in range(0, n, width(a)):
        new, r, z = load(a + j), load(a + (n + j)), load(a + (2 * n + j))
        dh = load(grads.dh + j)
        # h = n + z (h' - n)
        da_z = dh * (load(step.h_prev + j) - new) * fma(-1.0 * z, z, z)
        da_n = flush(dh * (1.0 - z) * fma(-1.0 * new, new, 1.0))
        # a_n = (x's part) + r (h's part)
        da_r = da_n * load(a + (3 * n + j)) * fma(-1.0 * r, r, r)
        store(da + j, da_n)
        store(da + (n + j), flush(da_r))
        store(da + (2 * n + j), flush(da_z))
        store(da + (3 * n + j), flush(da_n * r))
        store(grads.dh + j, flush(dh * z))


@kernel
def reset(cell, step):
    """r and r h_{t-1}, which the product for n takes."""
    n, a = step.n, step.a
    sigmoid_of(a + n, n)
    for j in range(0, n, width(a)):
        store(a + j, load(a + (n + j)) * load(step.h_prev + j))


@kernel
def forward_before(cell, step):
    """h_t of the GRU that resets before the product."""
    n, a = step.n, step.a
    sigmoid_of(a + 2 * n, n)
    for j in range(0, n, width(a)):
        z, new = load(a + (2 * n + j)), tanh(load(a + (3 * n + j)))
        store(a + (3 * n + j), new)
        store(step.h + j, fma(z, load(step.h_prev + j) - new, new))


@kernel
def backward_before(cell, step, grads):
    """da_z and da_n; dh becomes what z hands on to h_{t-1}."""
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
    """da_r from the gradient by r h_{t-1}, and what r hands on to h_{t-1}."""
    n, a = step.n, step.a
    for j in range(0, n, width(a)):
        r, dr = load(a + (n + j)), load(grads.dr + j)
        # r h'
        store(grads.da + j, flush(dr * load(step.h_prev + j) * fma(-1.0 * r, r, r)))
        store(grads.dh + j, fma(dr, r, load(grads.dh + j)))
