"""The LSTM, gates i f g o, optionally with peepholes p.

With h' for h_{t-1}, and c'::

    i = sigmoid(a_i + p_i c')    g = tanh(a_g)          h = o tanh(c)
    f = sigmoid(a_f + p_f c')    c = f c' + i g         o = sigmoid(a_o + p_o c)

Hochreiter and Schmidhuber, Neural Computation 9 (1997); forget gate and peepholes of Gers,
Schraudolph and Schmidhuber, JMLR 3 (2002); gate order as in PyTorch's LSTM.

A step keeps i, f, g, o and tanh(c) in the rows of `a`.
"""

from __future__ import annotations

from ...jit import kernel, overloads
from ...simd import flush, fma, load, store, width
from ...simd.vector_math import tanh
from .types import sigmoid_of


def has_peepholes(cell):
    """Return whether the gates see c, at compile time."""
    raise NotImplementedError


@overloads(has_peepholes)
def _has_peepholes(cell):
    peepholes = len(cell.spec.vectors) > 0
    return lambda cell: peepholes


@kernel
def add_peephole(a, p, c, n):
    """a += p c."""
    for j in range(0, n, width(a)):
        store(a + j, fma(load(p + j), load(c + j), load(a + j)))


@kernel
def forward(cell, step):
    """c_t and h_t.

    One loop for each function, not one for all: a chain of two exponentials and two divisions
    fills the processor's queue, and the chain of the next number has to wait.  One loop takes 1.02
    to 1.05 of the time of a training step (LSTM on AVX-512; Zen 4, H 10 to 32, B 1 to 256), two
    loops, for c and for h, the same; a GRU's one loop 1.04, and 1.10 on AVX2 (H 2, B 100).
    """
    n, a, p = step.n, step.a, step.vectors
    i, f, g, o, tanh_c = a, a + n, a + 2 * n, a + 3 * n, a + 4 * n
    if has_peepholes(cell):
        add_peephole(i, p, step.c_prev, n)
        add_peephole(f, p + n, step.c_prev, n)
    sigmoid_of(i, 2 * n)
    for j in range(0, n, width(a)):
        new = tanh(load(g + j))
        store(g + j, new)
        store(step.c + j, fma(load(f + j), load(step.c_prev + j), load(i + j) * new))
    if has_peepholes(cell):
        add_peephole(o, p + 2 * n, step.c, n)
    sigmoid_of(o, n)
    for j in range(0, n, width(a)):
        t = tanh(load(step.c + j))
        store(tanh_c + j, t)
        store(step.h + j, load(o + j) * t)


@kernel
def backward(cell, step, grads):
    """da_t from dh_t and dc_t; then dc_{t-1}."""
    n, a, da, p, dp = step.n, step.a, grads.da, step.vectors, grads.dvectors
    for j in range(0, n, width(a)):
        i, f, g = load(a + j), load(a + (n + j)), load(a + (2 * n + j))
        o, tanh_c = load(a + (3 * n + j)), load(a + (4 * n + j))
        c_prev, dh = load(step.c_prev + j), load(grads.dh + j)
        # h = o tanh(c)
        da_o = flush(dh * tanh_c * fma(-1.0 * o, o, o))
        dc = fma(dh * o, fma(-1.0 * tanh_c, tanh_c, 1.0), load(grads.dc + j))
        if has_peepholes(cell):  # a_o + p_o c
            dc = fma(load(p + (2 * n + j)), da_o, dc)
        # c = f c' + i g
        da_i = flush(dc * g * fma(-1.0 * i, i, i))
        da_f = flush(dc * c_prev * fma(-1.0 * f, f, f))
        da_g = flush(dc * i * fma(-1.0 * g, g, 1.0))
        dc = dc * f
        if has_peepholes(cell):  # a_i + p_i c', a_f + p_f c'
            dc = fma(load(p + j), da_i, fma(load(p + (n + j)), da_f, dc))
            store(dp + j, fma(da_i, c_prev, load(dp + j)))
            store(dp + (n + j), fma(da_f, c_prev, load(dp + (n + j))))
            store(dp + (2 * n + j), fma(da_o, load(step.c + j), load(dp + (2 * n + j))))
        store(grads.dc + j, flush(dc))
        store(da + j, da_i)
        store(da + (n + j), da_f)
        store(da + (2 * n + j), da_g)
        store(da + (3 * n + j), da_o)
