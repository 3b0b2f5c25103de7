"""Elementary functions of one Vec, in either dtype; `simd.apply` takes them over a Tile.

Exponentials reduce ``x = n ln 2 + r`` with ``|r| <= ln(2) / 2`` (Cody and Waite: ln 2 in two
parts, the first with trailing zeros, so that ``n * high`` is exact), then sum Taylor's series of
``expm1(r)``.  Errors are in units in the last place (ULP) of the exact result, the largest over
the sweep of ``tests/test_vmath.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import types

from ._jit import overloads
from .simd import (
    Vec,
    absolute,
    clip,
    copysign,
    exponent,
    fma,
    polynomial,
    pow2,
    unscale,
    where_less,
)

LOG2E, LN2, SQRT2 = 1 / math.log(2), math.log(2), math.sqrt(2)


class Constants(NamedTuple):
    """What depends on the dtype."""

    shift: float  # 1.5 * 2**mantissa bits: x + shift has the nearest integer in its low bits
    high: float  # ln 2 = high + low
    low: float
    expm1: tuple[float, ...]  # coefficients of (expm1(r) - r) / r**2, highest power first
    atanh: tuple[float, ...]  # coefficients of (atanh(s) / s - 1) / s**2 in s**2
    guard: float  # 2**guard lifts the smallest denormal to a normal number
    zero: float  # exp(x) rounds to 0 below this
    one: float  # tanh(x) rounds to 1 above this


def _expm1(degree: int) -> tuple[float, ...]:
    return tuple(1 / math.factorial(k) for k in range(degree, 1, -1))


def _atanh(terms: int) -> tuple[float, ...]:
    return tuple(1 / (2 * k + 1) for k in range(terms, 0, -1))


CONSTANTS = {
    types.float32: Constants(
        12582912.0, 0.693359375, -2.12194440e-4, _expm1(7), _atanh(5), 24.0, -104.0, 9.1
    ),
    types.float64: Constants(
        6755399441055744.0,
        6.93147180369123816490e-01,
        1.90821492927058770002e-10,
        _expm1(13),
        _atanh(11),
        54.0,
        -746.0,
        19.1,
    ),
}


def exp(x):
    """exp(x) of x <= 0, denormal results included; at most 1.1 ULP."""
    raise NotImplementedError


def tanh(x):
    """Hyperbolic tangent, ``expm1(2x) / (expm1(2x) + 2)``; at most 2.2 ULP."""
    raise NotImplementedError


def sigmoid(x):
    """1 / (1 + exp(-x)), with its full relative accuracy at both ends; at most 2 ULP."""
    raise NotImplementedError


def log1p(x):
    """log(1 + x) of x >= 0, by ``2 atanh(f / (2 + f))``; at most 2 ULP."""
    raise NotImplementedError


@overloads(exp)
def _exp(x):
    if not isinstance(x, Vec):
        return None
    shift, high, low, coefficients, _, guard, zero, _ = CONSTANTS[x.dtype]
    unguard = 2.0**-guard

    def impl(x):
        x = clip(x, zero, 0.0)
        t = fma(x, LOG2E, shift)
        n = t - shift
        r = fma(n, -low, fma(n, -high, x))
        scale = pow2(t + guard)
        return fma(scale, fma(r * r, polynomial(r, coefficients), r), scale) * unguard

    return impl


@overloads(tanh)
def _tanh(x):
    if not isinstance(x, Vec):
        return None
    shift, high, low, coefficients, *_, one = CONSTANTS[x.dtype]

    def impl(x):
        u = absolute(x)
        u = where_less(one, u, one, u)  # NaN stays
        u = u + u
        t = fma(u, LOG2E, shift)
        n = t - shift
        first = fma(n, -high, u)
        r = fma(n, -low, first)
        lost = fma(n, -low, first - r)  # what r rounded away
        scale = pow2(t)
        e = fma(scale, fma(r * r, polynomial(r, coefficients), lost) + r, scale - 1.0)
        return copysign(e / (e + 2.0), x)

    return impl


@overloads(sigmoid)
def _sigmoid(x):
    if not isinstance(x, Vec):
        return None

    def impl(x):
        e = exp(-1.0 * absolute(x))
        d = e + 1.0
        lost = e - (d - 1.0)  # what the sum rounded away: 1 / (d + lost) = 1/d - lost / d**2
        q = where_less(x, 0.0, e, 1.0) / d
        return fma(q * lost, where_less(x, 0.0, q - 1.0, -1.0 * q), q)

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
