"""Compiled optimizers.

A step is a kernel ``step(p, g, m, n, rate, knobs)`` of one vector register: parameters at p,
gradients at g, row k of the state at ``m + k n``, and the knobs by name.  A begin kernel
``begin(record)`` changes the scalars among the knobs before each update.

State that fades is flushed to zero: as denormals it would cost 34 times the arithmetic.  So are
gradients whose squares would be too small to count.
"""

from __future__ import annotations

import functools

from numba import types

from ..jit import kernel, kernel_named, overloads
from ..simd import (
    fill,
    flush,
    flush_root,
    fma,
    load,
    load_record,
    marker,
    marker_type,
    root,
    store,
)
from .algorithms import Adam
from .optimizer import OPTIMIZERS, Limits

UPDATES = Limits._fields.index("updates")
ADAM = Adam.places()  # of AdamW as well


class Marker:
    """An optimizer as a value that kernels hand on; `marker_of` makes it."""

    def __init__(self, name: str):
        self.kind = OPTIMIZERS[name]


class OptimizerType(types.Type):
    """Numba's type of a `Marker`."""

    def __init__(self, value: Marker):
        self.kind = value.kind
        super().__init__(f"Optimizer({self.kind.name})")


marker(Marker, OptimizerType)
marker_type(OptimizerType)
marker_of = functools.cache(Marker)


@kernel
def begin_nothing(record):
    """Leave the knobs as they are."""


@kernel
def begin_adam(record):
    """Powers of beta1 and beta2."""
    record[ADAM.power1] = record[ADAM.power1] * record[ADAM.beta1]
    record[ADAM.power2] = record[ADAM.power2] * record[ADAM.beta2]


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
    """``s = alpha s + (1 - alpha) g^2;  p -= rate g / (sqrt(s) + epsilon)``."""
    w, grad = load(p), load(g)
    grad = fma(w, knobs.weight_decay, grad)
    visible = flush_root(grad)
    s = flush(fma(visible * visible, 1.0 - knobs.alpha, load(m) * knobs.alpha))
    store(m, s)
    if knobs.centered != 0.0:
        mean = load(m + n)
        mean = flush(fma(grad - mean, 1.0 - knobs.alpha, mean))
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
    mean = flush(fma(grad - mean, 1.0 - knobs.beta1, mean))
    visible = flush_root(grad)
    square = flush(fma(visible * visible, 1.0 - knobs.beta2, square * knobs.beta2))
    store(m, mean)
    store(m + n, square)
    # m^ and s^ undo the bias of m and s towards their start at zero
    size = root(square) / root(fill(p, 1.0 - knobs.power2)) + knobs.epsilon
    store(p, fma(mean / size, -rate / (1.0 - knobs.power1), w))


@kernel(inline=True)
def adam(p, g, m, n, rate, knobs):
    """Adam."""
    w = load(p)
    moments(p, g, m, n, rate, knobs, w, fma(w, knobs.weight_decay, load(g)))


@kernel(inline=True)
def adamw(p, g, m, n, rate, knobs):
    """Shrink the parameters, then Adam."""
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
            -rate / (1.0 + (knobs.updates - 1.0) * knobs.lr_decay),
            w,
        ),
    )


def step(optimizer, p, g, m, n, rate, knobs):
    """One step of a register of parameters at p; row k of the state is at ``m + k n``."""
    raise NotImplementedError


@overloads(step)
def _step(optimizer, p, g, m, n, rate, knobs):
    function = kernel_named(optimizer.kind.kernel)
    return lambda optimizer, p, g, m, n, rate, knobs: function(p, g, m, n, rate, knobs)


def begin(optimizer, record):
    """Count an update and change the scalars; return the knobs by name."""
    raise NotImplementedError


@overloads(begin)
def _begin(optimizer, record):
    function, kind = kernel_named(optimizer.kind.begin_kernel), optimizer.kind.knobs_type()

    def impl(optimizer, record):
        record[UPDATES] = record[UPDATES] + 1.0
        function(record)
        return load_record(kind, record)

    return impl


def n_rows(optimizer):
    """Rows of the state."""
    raise NotImplementedError


@overloads(n_rows)
def _n_rows(optimizer):
    n = len(optimizer.kind.state)
    return lambda optimizer: n
