"""Compiled updates of a vector of parameters: penalties, limits of the gradient, descent."""

from __future__ import annotations

import numpy as np
from numba import float64, int64

from ..jit import kernel
from ..simd import (
    absolute,
    fill,
    first,
    fma,
    load,
    root,
    store,
    total,
    where_less,
    width,
    with_sign,
)
from .kernels import n_rows, step


@kernel
def penalize(parameters, gradients, penalties, n, stride):
    """Add the gradient of ``sum l1 |p| + l2 p^2 / 2`` of n parameters; return the sum.

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
def limit(gradients, n, value):
    """Limit each of n gradients to ``+- value``."""
    for i in range(n):
        gradients[i] = min(max(gradients[i], -value), value)


@kernel
def hypotenuse(x, y, record):
    """sqrt(x**2 + y**2), without overflow, of doubles that are not negative."""
    longer = max(x, y)
    if not longer > 0.0:
        return x + y  # zero or NaN
    x, y = x / longer, y / longer
    return longer * first(root(fill(record, x * x + y * y)))


@kernel
def scale(gradients, n, factor):
    """Multiply n gradients by a factor."""
    for i in range(n):
        gradients[i] *= factor


@kernel
def descend(optimizer, part, rate, knobs, spare):
    """One update of the parameters of a `Part`; `knobs` are what `kernels.begin` returns.

    Parameters
    ----------
    spare : pointer
        Room for two registers and one for each row, since the last parameters need not fill one.
    """
    parameters, gradients, moments = part.parameters, part.gradients, part.moments
    n, stride = part.n, part.stride
    L = width(parameters)
    whole = n - n % L
    for i in range(0, whole, L):
        step(optimizer, parameters + i, gradients + i, moments + i, stride, rate, knobs)
    left = n - whole
    if left > 0:
        p, g, m = spare, spare + L, spare + 2 * L
        for i in range(left):
            p[i], g[i] = parameters[whole + i], gradients[whole + i]
            for k in range(n_rows(optimizer)):
                m[k * L + i] = moments[k * stride + (whole + i)]
        step(optimizer, p, g, m, L, rate, knobs)
        for i in range(left):
            parameters[whole + i] = p[i]
            for k in range(n_rows(optimizer)):
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
