"""The minimal gated unit of Zhou et al. (2016), declared as a user's script does.

With h' for h_{t-1}::

    f = sigmoid(Wxf x + bf + Whf h')     n = tanh(Wxn x + bn + Whn (f h'))     h = h' + f (n - h')
"""

import numpy as np
import reference

from rnn_fast.cells import Row, declare, sigmoid, tanh


def reset(point):
    _, f, n = point.a
    f = sigmoid(f)
    return f * point.h_prev, f, n


def forward(point):
    fh, f, n = point.a
    n = tanh(n)
    return (fh, f, n), point.h_prev + f * (n - point.h_prev)


def backward(point, slopes):
    _, f, n = point.a
    # h = h' + f (n - h'), n = tanh(a_n)
    df = slopes.dh * (n - point.h_prev)
    da_n = slopes.dh * f * (1 - n * n)
    return (df, da_n), slopes.dh * (1 - f)


def reset_backward(point, slopes):
    _, f, _ = point.a
    df, da_n = slopes.da
    # f h', f = sigmoid(a_f)
    df = df + slopes.dlate * point.h_prev
    return (df * f * (1 - f), da_n), slopes.dh + slopes.dlate * f


CELL = declare(
    "minimal_gated",
    gates=("f", "n"),
    rows=(Row("f h"), Row("f", "f"), Row("n", "n", "x1", late="f h")),
    carries=True,
    reset=reset,
    forward=forward,
    backward=backward,
    reset_backward=reset_backward,
)


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
