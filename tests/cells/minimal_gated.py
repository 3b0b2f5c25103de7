"""The minimal gated unit of Zhou et al. (2016), which no file of the package names.

With h' for h_{t-1}::

    f = sigmoid(Wxf x + bf + Whf h')     n = tanh(Wxn x + bn + Whn (f h'))     h = h' + f (n - h')
"""

import numpy as np
import reference

from rnn_fast.cells.kernels.types import sigmoid_of
from rnn_fast.cells.specs import CELLS, Cell, Row
from rnn_fast.jit import kernel
from rnn_fast.simd import flush, fma, load, store, width
from rnn_fast.simd.vector_math import tanh

# declaration
CELL = CELLS.add(
    Cell(
        name="minimal_gated",
        kernels=__name__,
        gates=("f", "n"),
        rows=(Row("f h"), Row("f", "f"), Row("n", "n", "x1", late="f h")),
        carries=True,
    )
)
# end of the declaration


# maths
@kernel
def reset(cell, step):
    """f, and f h_{t-1}, which the late product of n meets."""
    n, a = step.n, step.a
    sigmoid_of(a + n, n)
    for j in range(0, n, width(a)):
        store(a + j, load(a + (n + j)) * load(step.h_prev + j))


@kernel
def forward(cell, step):
    """h_t, from f and n."""
    n, a = step.n, step.a
    for j in range(0, n, width(a)):
        new, h_prev = tanh(load(a + (2 * n + j))), load(step.h_prev + j)
        store(a + (2 * n + j), new)
        store(step.h + j, fma(load(a + (n + j)), new - h_prev, h_prev))


@kernel
def backward(cell, step, grads):
    """da_n; df without its part through f h_{t-1}; dh becomes dh_{t-1} without its products."""
    n, a = step.n, step.a
    for j in range(0, n, width(a)):
        f, new, dh = load(a + (n + j)), load(a + (2 * n + j)), load(grads.dh + j)
        # h = h' + f (n - h')
        store(grads.da + j, dh * (new - load(step.h_prev + j)))
        store(grads.da + (n + j), flush(dh * f * fma(-1.0 * new, new, 1.0)))
        store(grads.dh + j, flush(dh * (1.0 - f)))


@kernel
def reset_backward(cell, step, grads):
    """da_f, and in dh the part of dh_{t-1} that goes through f h_{t-1}."""
    n, a = step.n, step.a
    for j in range(0, n, width(a)):
        f, dlate = load(a + (n + j)), load(grads.dlate + j)
        # f h'
        df = fma(dlate, load(step.h_prev + j), load(grads.da + j))
        store(grads.da + j, flush(df * fma(-1.0 * f, f, f)))
        store(grads.dh + j, fma(dlate, f, load(grads.dh + j)))


# end of the maths
class Oracle:
    """The same in NumPy, one step of one sequence."""

    gates, names, states = 2, (), 1

    @staticmethod
    def forward(name, p, x, h, c):
        (xf, xn), (Uf, Un) = np.split(p["Wxh"] @ x + p["bh"], 2), np.split(p["Whh"], 2)
        f = reference.sigmoid(xf + Uf @ h)
        n = np.tanh(xn + Un @ (f * h))
        return h + f * (n - h), c, (x, h, f, n)

    @staticmethod
    def backward(name, p, kept, dh, dc, grads):
        x, h, f, n = kept
        Uf, Un = np.split(p["Whh"], 2)
        da_n = dh * f * (1.0 - n * n)
        dlate = Un.T @ da_n
        da_f = (dh * (n - h) + dlate * h) * f * (1.0 - f)
        da = np.concatenate([da_f, da_n])
        grads["Wxh"] += np.outer(da, x)
        grads["bh"] += da
        grads["Whh"] += np.concatenate([np.outer(da_f, h), np.outer(da_n, f * h)])
        return p["Wxh"].T @ da, dh * (1.0 - f) + dlate * f + Uf.T @ da_f, dc


reference.CELLS[CELL.name] = Oracle
