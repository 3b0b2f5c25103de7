"""The compiled optimizers: one step on a vector register of parameters; see `optimizers`.

State that fades is flushed to zero: as denormals it would cost 34 times the arithmetic.  So are
gradients whose squares would be too small to count.
"""

from __future__ import annotations

import numpy as np
from numba import float64, int64, types

from ..jit import kernel, overloads
from ..simd import (
    absolute,
    fill,
    first,
    flush,
    flush_root,
    fma,
    load,
    load_record,
    marker,
    marker_type,
    root,
    store,
    total,
    where_less,
    width,
    with_sign,
)
from .record import STATE_SIZES, Knobs

UPDATES, POWER1, POWER2 = (Knobs._fields.index(name) for name in ("updates", "power1", "power2"))


class Optimizer:
    """An optimizer as a value that kernels hand on: one of `layout.OPTIMIZERS`."""

    def __init__(self, name: str):
        self.name = name


class OptimizerType(types.Type):
    """Numba's type of an `Optimizer`."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer.name
        super().__init__(f"Optimizer({optimizer.name})")


marker(Optimizer, OptimizerType)
marker_type(OptimizerType)

MARKERS = {name: Optimizer(name) for name in STATE_SIZES}


@kernel(inline=True)
def sgd(p, g, m, n, rate, knobs):
    """``v = momentum v + g;  p -= rate v``, with Nesterov's momentum ``rate (g + momentum v)``."""
    w, grad = load(p), load(g)
    grad = fma(w, knobs.weight_decay, grad)
    if knobs.momentum != 0.0:
        v = flush(fma(load(m), knobs.momentum, grad))
        store(m, v)
        grad = fma(v, knobs.momentum, grad) if knobs.nesterov != 0.0 else v
    store(p, fma(grad, -rate, w))


@kernel(inline=True)
def rmsprop(p, g, m, n, rate, knobs):
    """``s = decay s + (1 - decay) g^2;  p -= rate g / (sqrt(s) + epsilon)``."""
    w, grad = load(p), load(g)
    grad = fma(w, knobs.weight_decay, grad)
    visible = flush_root(grad)
    s = flush(fma(visible * visible, 1.0 - knobs.decay, load(m) * knobs.decay))
    store(m, s)
    if knobs.centered != 0.0:
        mean = load(m + n)
        mean = flush(fma(grad - mean, 1.0 - knobs.decay, mean))
        store(m + n, mean)
        s = fma(-1.0 * mean, mean, s)
    step = grad / (root(s) + knobs.epsilon)
    if knobs.momentum != 0.0:
        step = flush(fma(load(m + 2 * n), knobs.momentum, step))
        store(m + 2 * n, step)
    store(p, fma(step, -rate, w))


@kernel(inline=True)
def moments(p, g, m, n, rate, knobs, w, grad):
    """``m = b1 m + (1 - b1) g;  s = b2 s + (1 - b2) g^2;  p -= rate m^ / (sqrt(s^) + epsilon)``."""
    mean, square = load(m), load(m + n)
    mean = flush(fma(grad - mean, 1.0 - knobs.momentum, mean))
    visible = flush_root(grad)
    square = flush(fma(visible * visible, 1.0 - knobs.decay, square * knobs.decay))
    store(m, mean)
    store(m + n, square)
    # m^ and s^ are m and s without what their start at zero makes too small
    size = root(square) / root(fill(p, 1.0 - knobs.power2)) + knobs.epsilon
    store(p, fma(mean / size, -rate / (1.0 - knobs.power1), w))


@kernel(inline=True)
def adam(p, g, m, n, rate, knobs):
    """Adam."""
    w = load(p)
    moments(p, g, m, n, rate, knobs, w, fma(w, knobs.weight_decay, load(g)))


@kernel(inline=True)
def adamw(p, g, m, n, rate, knobs):
    """Adam of parameters that are first made smaller."""
    moments(p, g, m, n, rate, knobs, load(p) * (1.0 - rate * knobs.weight_decay), load(g))


@kernel(inline=True)
def adagrad(p, g, m, n, rate, knobs):
    """``s += g^2;  p -= rate g / (sqrt(s) + epsilon)``."""
    w = load(p)
    grad = fma(w, knobs.weight_decay, load(g))
    visible = flush_root(grad)
    s = flush(fma(visible, visible, load(m)))
    store(m, s)
    store(
        p,
        fma(
            grad / (root(s) + knobs.epsilon),
            -rate / (1.0 + (knobs.updates - 1.0) * knobs.rate_decay),
            w,
        ),
    )


_STEPS = {"sgd": sgd, "rmsprop": rmsprop, "adam": adam, "adamw": adamw, "adagrad": adagrad}


def step(optimizer, p, g, m, n, rate, knobs):
    """One step of a register of parameters at p; row k of the state is at ``m + k n``."""
    raise NotImplementedError


@overloads(step)
def _step(optimizer, p, g, m, n, rate, knobs):
    function = _STEPS[optimizer.optimizer]
    return lambda optimizer, p, g, m, n, rate, knobs: function(p, g, m, n, rate, knobs)


def rows(optimizer):
    """Rows of its state."""
    raise NotImplementedError


@overloads(rows)
def _rows(optimizer):
    n = STATE_SIZES[optimizer.optimizer]
    return lambda optimizer: n


@kernel
def penalize(parameters, gradients, penalties, n, stride):
    """Add the gradient of ``sum l1 |p| + l2 p^2 / 2`` of n parameters; gives its value.

    penalties : pointer
        l1 of each parameter, and `stride` further on l2.
    """
    L = width(parameters)
    whole = n - n % L
    sizes, squares = fill(parameters, 0.0), fill(parameters, 0.0)
    for i in range(0, whole, L):
        p, l1, l2 = load(parameters + i), load(penalties + i), load(penalties + (stride + i))
        size, pull = absolute(p), l2 * p
        sizes, squares = fma(l1, size, sizes), fma(pull, p, squares)
        sign = where_less(0.0, size, with_sign(l1, p), 0.0)
        store(gradients + i, load(gradients + i) + (sign + pull))
    value = float64(total(sizes)) + 0.5 * float64(total(squares))
    for i in range(whole, n):
        p, l1, l2 = parameters[i], penalties[i], penalties[stride + i]
        gradients[i] += (l1 if p > 0.0 else -l1 if p < 0.0 else 0.0 * l1) + l2 * p
        value += l1 * abs(p) + 0.5 * l2 * p * p
    return value


@kernel
def norm_of(gradients, n, record):
    """The Euclidean norm of n gradients, as a double."""
    L = width(gradients)
    whole = n - n % L
    squares = fill(gradients, 0.0)
    for i in range(0, whole, L):
        g = load(gradients + i)
        squares = fma(g, g, squares)
    value = float64(total(squares))
    start = whole
    if not value < np.inf:  # squares beyond the reals, of numbers that need not be
        value, start = 0.0, int64(0)
    for i in range(start, n):
        g = float64(gradients[i])
        value += g * g
    return first(root(fill(record, value)))


@kernel
def clip(gradients, n, record):
    """Limit the gradients as the `Knobs` say: each to ``+- clip_value``, then all by their norm.

    As in PyTorch the factor is ``clip_norm / (|g| + 1e-6)``, if that is below 1.
    """
    knobs = load_record(Knobs, record)
    value, norm = knobs.clip_value, knobs.clip_norm
    if value > 0.0:
        for i in range(n):
            gradients[i] = min(max(gradients[i], -value), value)
    if norm > 0.0:
        factor = norm / (norm_of(gradients, n, record) + 1e-6)
        if factor < 1.0:
            for i in range(n):
                gradients[i] *= factor


@kernel
def descend(optimizer, parameters, gradients, moments, n, stride, rate, record, spare):
    """One update of n parameters, at a learning rate.

    Parameters
    ----------
    moments : pointer
        State; its rows are `stride` apart.
    record : pointer
        The `Knobs`; the scalars of the state are advanced.
    spare : pointer
        Room for two registers and one for each row: the last parameters need not fill one.
    """
    knobs = load_record(Knobs, record)
    record[UPDATES] = knobs.updates + 1.0
    record[POWER1], record[POWER2] = knobs.power1 * knobs.momentum, knobs.power2 * knobs.decay
    knobs = load_record(Knobs, record)
    L = width(parameters)
    whole = n - n % L
    for i in range(0, whole, L):
        step(optimizer, parameters + i, gradients + i, moments + i, stride, rate, knobs)
    left = n - whole
    if left > 0:
        p, g, m = spare, spare + L, spare + 2 * L
        for i in range(left):
            p[i], g[i] = parameters[whole + i], gradients[whole + i]
            for k in range(rows(optimizer)):
                m[k * L + i] = moments[k * stride + (whole + i)]
        step(optimizer, p, g, m, L, rate, knobs)
        for i in range(left):
            parameters[whole + i] = p[i]
            for k in range(rows(optimizer)):
                moments[k * stride + (whole + i)] = m[k * L + i]


@kernel
def descend_plainly(parameters, gradients, n, rate):
    """``p -= rate g``, n numbers."""
    L = width(parameters)
    whole = n - n % L
    for i in range(0, whole, L):
        store(parameters + i, fma(load(gradients + i), -rate, load(parameters + i)))
    for i in range(whole, n):
        parameters[i] -= rate * gradients[i]
