"""The GRU that resets after the product, gates r z n.

With h' for h_{t-1}::

    r = sigmoid(Wxr x + br + Whr h')     n = tanh(Wxn x + bn + r (Whn h' + bhn))
    z = sigmoid(Wxz x + bz + Whz h')     h = (1 - z) n + z h'

The form of PyTorch and cuDNN, after Cho et al., Learning phrase representations, EMNLP 2014.  The
letters are PyTorch's: Cho's z is 1 - z here.
"""

from __future__ import annotations

from ...jit import kernel
from ...simd import flush, fma, load, store, width
from ...simd.vector_math import tanh
from .types import sigmoid_of


@kernel
def forward(cell, step):
    """h_t, from n's part of x, r, z and n's part of h; the first becomes n."""
    n, a = step.n, step.a
    sigmoid_of(a + n, 2 * n)  # a loop of its own: see `lstm.forward`
    for j in range(0, n, width(a)):
        r, z = load(a + (n + j)), load(a + (2 * n + j))
        new = tanh(fma(r, load(a + (3 * n + j)), load(a + j)))
        store(a + j, new)
        store(step.h + j, fma(z, load(step.h_prev + j) - new, new))


@kernel
def backward(cell, step, grads):
    """da_t in the order of the rows; dh becomes the part of dh_{t-1} that goes through z."""
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
