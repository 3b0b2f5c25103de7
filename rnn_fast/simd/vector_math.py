"""Elementary functions of one Vec, in either dtype; `simd.apply` takes them over a Tile.

Exponentials reduce ``x = n ln 2 + r`` with ``|r| <= ln(2) / 2`` (Cody and Waite: ln 2 in two
parts, the first with trailing zeros, so that ``n * high`` is exact) and sum a polynomial for
``expm1(r)``.  With AVX-512 n counts 16ths (float64: 8ths), a table holds their powers of 2, and the
polynomial is short.  Errors are in units in the last place (ULP) of the exact result, the largest
over the sweep in the tests, on a target with fused multiplication and addition.
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
from numba import types

from ..jit import overloads
from . import (
    Vec,
    absolute,
    exponent,
    fma,
    has_tables,
    horner,
    polynomial,
    pow2,
    quarter_octave,
    scaled,
    table,
    unscale,
    where_less,
    with_sign,
)
from .constants import CONSTANTS, TANH, TANH_SCALE
from .tables import entries

LOG2E, LN2, SQRT2 = 1 / math.log(2), math.log(2), math.sqrt(2)


def exp(x):
    """exp(x) of x <= 0, and 0 where that would be denormal; at most 1.1 ULP."""
    raise NotImplementedError


def tanh(x):
    """Hyperbolic tangent, ``expm1(2x) / (expm1(2x) + 2)``; at most 2.7 ULP.

    With AVX-512 at most 3 ULP in float64; in float32 a polynomial in each of 16 intervals, at most
    1.1 ULP.

    ``0.5 tanh(0.5 x) + 0.5`` is no substitute for `sigmoid`, and the fast rational forms of tanh
    are 5 ULP off where it nears 1.
    """
    raise NotImplementedError


def sigmoid(x):
    """1 / (1 + exp(-x)), at most 2.5 ULP; 0 where it nears the denormal numbers.

    With AVX-512 that is below the smallest normal number, else below 0.36 of it.
    """
    raise NotImplementedError


def log1p(x):
    """log(1 + x) of x >= 0, by ``2 atanh(f / (2 + f))``; at most 2 ULP."""
    raise NotImplementedError


@overloads(exp)
def _exp(x):
    if not isinstance(x, Vec):
        return None
    c = CONSTANTS[x.dtype]
    shift, high, low, coefficients, zero = c.magic + c.bias, c.high, c.low, c.expm1, c.zero

    def impl(x):
        x = where_less(x, zero, zero, x)  # NaN stays
        t = fma(x, LOG2E, shift)
        n = t - shift
        r = fma(n, -low, fma(n, -high, x))
        scale = pow2(t)
        return fma(scale, fma(r * r, polynomial(r, coefficients), r), scale)

    return impl


def _powers(dtype):
    """The entries 2**(j / n), j < n, of a table, and what their rounding lost, relative to them."""
    n = entries(dtype)
    exact = [Decimal(2) ** (Decimal(j) / n) for j in range(n)]
    rounded = [float(np.dtype(dtype.name).type(each)) for each in exact]
    lost = [float(each / Decimal(r) - 1) for each, r in zip(exact, rounded, strict=True)]
    return rounded, lost


@overloads(tanh)
def _tanh(x):
    if not isinstance(x, Vec):
        return None
    if has_tables(x):
        return _tanh_by_intervals() if x.dtype == types.float32 else _tanh_by_table(x.dtype)
    return _tanh_portable(x.dtype)


def _halved(expm1):
    """Coefficients for expm1(2r) / 2, in r."""
    return tuple(a * 2 ** (k + 1) for k, a in enumerate(expm1))


def _tanh_portable(dtype):
    c = CONSTANTS[dtype]
    shift, high, low, one = c.magic + c.bias, c.high, c.low, c.one
    coefficients = _halved(c.expm1)
    double = dtype == types.float64

    def impl(x):
        u = absolute(x)
        u = where_less(one, u, one, u)  # NaN stays
        t = fma(u, 2 * LOG2E, shift)
        n = t - shift
        if double:
            first = fma(n, -high / 2, u)
            r = fma(n, -low / 2, first)  # half of the reduced 2u
            q = polynomial(r, coefficients)
            # what r rounded away: 2.5 instead of 2.6 ULP
            p = fma(r * r, q, fma(n, -low / 2, first - r)) + r
        else:  # n is small where tanh is not yet 1: one part of ln 2 will do
            r = fma(n, -LN2 / 2, u)
            p = fma(r * r, polynomial(r, coefficients), r)
        scale = pow2(t)
        e = fma(scale, p, fma(scale, 0.5, -0.5))  # expm1(2u) / 2
        return with_sign(e / (e + 1.0), x)

    return impl


def _tanh_by_table(dtype):
    c = CONSTANTS[dtype]
    shift, high, low, one = c.magic / entries(dtype), c.high, c.low, c.one
    coefficients = _halved(c.short)
    rounded, lost = _powers(dtype)
    power, half_lost = table(rounded), table([a / 2 for a in lost])

    def impl(x):
        u = absolute(x)
        u = where_less(one, u, one, u)  # NaN stays
        t = fma(u, 2 * LOG2E, shift)
        n = t - shift
        r = fma(n, -low / 2, fma(n, -high / 2, u))  # half of the reduced 2u
        # what r rounded away would cost 1.3 cycles of 20: 2.74 instead of 2.82 ULP
        p = fma(r * r, polynomial(r, coefficients), half_lost(t) + r)
        scale = scaled(power(t), n)
        e = fma(scale, p, fma(scale, 0.5, -0.5))  # expm1(2u) / 2
        return with_sign(e / (e + 1.0), x)

    return impl


def _tanh_by_intervals():
    first = 12  # of `quarter_octave`
    rows = np.roll(TANH, first, axis=0).T.tolist()
    centre, c0, c1, c2, c3, c4, c5 = (table(row) for row in rows)
    one = CONSTANTS[types.float32].one

    def impl(x):
        u = absolute(x)
        u = where_less(one, u, one, u)  # NaN stays
        i = quarter_octave(fma(u, TANH_SCALE, 1.0))
        d = u - centre(i)
        return with_sign(horner(d, c5(i), c4(i), c3(i), c2(i), c1(i), c0(i)), x)

    return impl


@overloads(sigmoid)
def _sigmoid(x):
    if not isinstance(x, Vec):
        return None
    return _sigmoid_by_table(x.dtype) if has_tables(x) else _sigmoid_portable(x.dtype)


def _sigmoid_portable(dtype):
    c = CONSTANTS[dtype]
    shift, high, low = c.magic + c.bias, c.high, c.low
    smallest, largest = -c.infinite, -c.zero
    coefficients = (1.0, *c.expm1)
    downwards = coefficients[::-1]
    single = dtype == types.float32

    def impl(x):
        x = where_less(x, smallest, smallest, x)  # NaN stays
        x = where_less(largest, x, largest, x)
        t = fma(x, -LOG2E, shift)
        n = t - shift
        r = fma(n, -low, fma(n, -high, -1.0 * x))
        # few terms by Horner's scheme: on AVX2 8.4 cycles a Vec, 9.5 by Estrin's
        q = horner(r, *downwards) if single else polynomial(r, coefficients)
        # not scale + scale * (a negative number): scale may be infinite
        return 1.0 / fma(fma(q, r, 1.0), pow2(t), 1.0)

    return impl


def _sigmoid_by_table(dtype):
    c = CONSTANTS[dtype]
    shift, high, low, largest = c.magic / entries(dtype), c.high, c.low, -c.zero
    smallest = math.log(np.finfo(dtype.name).tiny)
    coefficients = c.short
    power, lost = (table(each) for each in _powers(dtype))

    def impl(x):
        u = where_less(largest, x, largest, x)  # NaN stays
        t = fma(u, -LOG2E, shift)
        n = t - shift
        r = fma(n, -low, fma(n, -high, -1.0 * u))
        p = fma(r * r, polynomial(r, coefficients), lost(t) + r)
        scale = scaled(power(t), n)
        # scale + 1 is ready before p: shorter than exp(-x) + 1
        return where_less(x, smallest, 0.0, 1.0 / fma(scale, p, scale + 1.0))

    return impl


@overloads(log1p)
def _log1p(x):
    if not isinstance(x, Vec):
        return None
    coefficients = CONSTANTS[x.dtype].atanh

    def impl(x):
        u = x + 1.0
        lost = x - (u - 1.0)  # what the sum rounded away
        n = exponent(u * SQRT2)
        f = unscale(u, n) - 1.0
        s = f / (f + 2.0)
        q = s * s
        log_m = fma(s * (q * polynomial(q, coefficients)), 2.0, s + s)
        return fma(n, LN2, log_m + lost / u)

    return impl
