"""A leaky unit with a memory, declared with an option, a vector and a helper function.

``c_t = c_{t-1} + leak s (Wxh x_t + bh + Whh h_{t-1} - c_{t-1})``, ``h_t = tanh(c_t)``: the leak is
an option, the rates s are a learned vector per unit.
"""

import numpy as np
import reference

from rnn_fast.cells import Row, Vector, declare, tanh

LEAK = 0.3


def speed(point):
    return point.vectors[0] * point.options[0]


def forward(point):
    (a,) = point.a
    c = point.c_prev + speed(point) * (a - point.c_prev)
    return point.a, tanh(c), c


def backward(point, slopes):
    (a,) = point.a
    dc = slopes.dc + slopes.dh * (1.0 - point.h * point.h)
    # c = c' + leak s (a - c')
    da = dc * speed(point)
    return (da,), dc - da, (dc * point.options[0] * (a - point.c_prev),)


CELL = declare(
    "leaky_memory",
    gates=("a",),
    rows=(Row("a", "a"),),
    vectors=(Vector("rate", start=1.0),),
    options={"leak": LEAK},
    has_memory=True,
    forward=forward,
    backward=backward,
)


class Oracle:
    """The same in NumPy, one step of one sequence."""

    gates, names, states = 1, ("rate",), 2

    @staticmethod
    def forward(name, p, x, h, c):
        a = p["Wxh"] @ x + p["bh"] + p["Whh"] @ h
        new = c + LEAK * p["rate"] * (a - c)
        return np.tanh(new), new, (x, h, np.tanh(new), a - c)

    @staticmethod
    def backward(name, p, kept, dh, dc, grads):
        x, h, new, move = kept
        dc = dc + dh * (1.0 - new * new)
        da = dc * LEAK * p["rate"]
        grads["rate"] += dc * LEAK * move
        grads["Wxh"] += np.outer(da, x)
        grads["bh"] += da
        grads["Whh"] += np.outer(da, h)
        return p["Wxh"].T @ da, p["Whh"].T @ da, dc - da


reference.CELLS[CELL.name], reference.VECTORS[CELL.name] = Oracle, {"rate": 1}
