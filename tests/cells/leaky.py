"""A leaky (continuous-time) unit, which no file of the package names.

``h_t = h_{t-1} + leak s (tanh(Wxh x_t + bh + Whh h_{t-1}) - h_{t-1})``: the leak is an option, the
rates s are a learned vector per unit.
"""

import numpy as np
import reference

from rnn_fast.cells.specs import CELLS, Cell, Row, Vector
from rnn_fast.jit import kernel
from rnn_fast.simd import flush, fma, load, store, width
from rnn_fast.simd.vector_math import tanh

LEAK = 0.3
CELL = CELLS.add(
    Cell(
        name="leaky",
        kernels=__name__,
        gates=("a",),
        rows=(Row("a", "a"),),
        vectors=(Vector("rate", start=1.0),),
        options=(("leak", LEAK),),
        carries=True,
    )
)


@kernel
def forward(cell, step):
    """h_t; the row a becomes tanh(a)."""
    for j in range(0, step.n, width(step.a)):
        r, h_prev = tanh(load(step.a + j)), load(step.h_prev + j)
        store(step.a + j, r)
        u = load(step.vectors + j) * step.options[0]
        store(step.h + j, fma(u, r - h_prev, h_prev))


@kernel
def backward(cell, step, grads):
    """da_t and the gradient of the rates; dh becomes dh_{t-1} without its product."""
    for j in range(0, step.n, width(step.a)):
        r, h_prev, dh = load(step.a + j), load(step.h_prev + j), load(grads.dh + j)
        u, ds = load(step.vectors + j) * step.options[0], load(grads.dvectors + j)
        # h = h' + leak s (r - h')
        store(grads.dvectors + j, fma(dh * step.options[0], r - h_prev, ds))
        store(grads.da + j, flush(dh * u * fma(-1.0 * r, r, 1.0)))
        store(grads.dh + j, flush(dh * (1.0 - u)))


class Oracle:
    """The same in NumPy, one step of one sequence."""

    gates, names, states = 1, ("rate",), 1

    @staticmethod
    def forward(name, p, x, h, c):
        r = np.tanh(p["Wxh"] @ x + p["bh"] + p["Whh"] @ h)
        return h + LEAK * p["rate"] * (r - h), c, (x, h, r)

    @staticmethod
    def backward(name, p, kept, dh, dc, grads):
        x, h, r = kept
        u = LEAK * p["rate"]
        da = dh * u * (1.0 - r * r)
        grads["rate"] += dh * LEAK * (r - h)
        grads["Wxh"] += np.outer(da, x)
        grads["bh"] += da
        grads["Whh"] += np.outer(da, h)
        return p["Wxh"].T @ da, dh * (1.0 - u) + p["Whh"].T @ da, dc


reference.CELLS[CELL.name], reference.VECTORS[CELL.name] = Oracle, {"rate": 1}
