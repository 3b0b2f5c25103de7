"""The simple (Elman) cell, ``h_t = f(a_t)``, f = tanh or relu.

Elman, Finding structure in time, Cognitive Science 14 (1990); equations as in PyTorch's RNN.

Gradients too small to matter are flushed to zero, here and in the other cells: as denormals they
would cost 8-15 times the arithmetic.
"""

from __future__ import annotations

from ...jit import kernel, overloads
from ...simd import flush, fma, load, store, where_less, width
from ...simd.vector_math import tanh


def activate(cell, a):
    """h_t = f(a_t), on one Vec; f is the last word of the cell's name."""
    raise NotImplementedError


def activate_backward(cell, dh, h):
    """da_t = dh_t f'(a_t), with f' in terms of h_t = f(a_t), on one Vec."""
    raise NotImplementedError


_ACTIVATE = {
    "tanh": lambda cell, a: tanh(a),
    "relu": lambda cell, a: where_less(a, 0.0, 0.0, a),  # NaN stays
}
_ACTIVATE_BACKWARD = {
    # h = tanh(a)
    "tanh": lambda cell, dh, h: flush(dh * fma(-1.0 * h, h, 1.0)),
    # h = max(a, 0)
    "relu": lambda cell, dh, h: flush(where_less(0.0, h, dh, 0.0)),
}


@overloads(activate)
def _activate(cell, a):
    return _ACTIVATE[cell.spec.name.rpartition("_")[2]]


@overloads(activate_backward)
def _activate_backward(cell, dh, h):
    return _ACTIVATE_BACKWARD[cell.spec.name.rpartition("_")[2]]


@kernel
def forward(cell, step):
    """h_t = f(a_t)."""
    for j in range(0, step.n, width(step.a)):
        store(step.h + j, activate(cell, load(step.a + j)))


@kernel
def backward(cell, step, grads):
    """da_t = dh_t f'(a_t)."""
    for j in range(0, step.n, width(step.a)):
        da = activate_backward(cell, load(grads.dh + j), load(step.h + j))
        store(grads.da + j, da)
