"""Elementary functions of one Vec, in either dtype; `simd.apply` takes them over a Tile.

Exponentials reduce ``x = n ln 2 + r`` with ``|r| <= ln(2) / 2`` (Cody and Waite: ln 2 in two
parts, the first with trailing zeros, so that ``n * high`` is exact) and sum a polynomial for
``expm1(r)``.  Errors are in units in the last place (ULP) of the exact result, the largest over
the sweep in the tests.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import types

from ..jit import overloads
from . import (
    Vec,
    absolute,
    exponent,
    fma,
    polynomial,
    pow2,
    unscale,
    where_less,
    where_negative,
    with_sign,
)

LOG2E, LN2, SQRT2 = 1 / math.log(2), math.log(2), math.sqrt(2)


class Constants(NamedTuple):
    """Constants of one dtype."""

    shift: float  # 1.5 * 2**mantissa bits + bias: x + shift holds an exponent in its low bits
    high: float  # ln 2 = high + low
    low: float
    expm1: tuple[float, ...]  # coefficients of (expm1(r) - r) / r**2 in r, lowest first
    atanh: tuple[float, ...]  # coefficients of (atanh(s) / s - 1) / s**2 in s**2
    zero: float  # exp(x) is 0 from here down, since the bits of its exponent are
    one: float  # tanh(x) rounds to 1 above this


def _atanh(terms: int) -> tuple[float, ...]:
    return tuple(1 / (2 * k + 1) for k in range(1, terms + 1))


CONSTANTS = {
    types.float32: Constants(
        shift=12582912.0 + 127,
        high=0.693359375,
        low=-2.12194440e-4,
        # least largest relative error of expm1 on |r| <= ln(2) / 2, 1.3e-8: one term less than
        # Taylor's series needs
        expm1=(
            0.49999998132521006,
            0.16666542678598592,
            0.041667204067652924,
            0.008366647354765788,
            0.0013882487293264013,
        ),
        atanh=_atanh(5),
        zero=-88.03,
        one=9.1,
    ),
    types.float64: Constants(
        shift=6755399441055744.0 + 1023,
        high=6.93147180369123816490e-01,
        low=1.90821492927058770002e-10,
        expm1=tuple(1 / math.factorial(k) for k in range(2, 14)),
        atanh=_atanh(11),
        zero=-709.09,
        one=19.1,
    ),
}


def exp(x):
    """exp(x) of x <= 0, and 0 where that would be denormal; at most 1.1 ULP."""
    raise NotImplementedError


def tanh(x):
    """Hyperbolic tangent, ``expm1(2x) / (expm1(2x) + 2)``; at most 2.5 ULP.

    ``0.5 tanh(0.5 x) + 0.5`` is no substitute for `sigmoid`, and the fast rational forms of tanh
    are 5 ULP off where it nears 1.
    """
    raise NotImplementedError


def sigmoid(x):
    """1 / (1 + exp(-x)), and 0 where that would be denormal; at most 2 ULP."""
    raise NotImplementedError


def log1p(x):
    """log(1 + x) of x >= 0, by ``2 atanh(f / (2 + f))``; at most 2 ULP."""
    raise NotImplementedError


@overloads(exp)
def _exp(x):
    if not isinstance(x, Vec):
        return None
    shift, high, low, coefficients, _, zero, _ = CONSTANTS[x.dtype]

    def impl(x):
        x = where_less(x, zero, zero, x)  # NaN stays
        t = fma(x, LOG2E, shift)
        n = t - shift
        r = fma(n, -low, fma(n, -high, x))
        scale = pow2(t)
        return fma(scale, fma(r * r, polynomial(r, coefficients), r), scale)

    return impl


@overloads(tanh)
def _tanh(x):
    if not isinstance(x, Vec):
        return None
    shift, high, low, expm1, *_, one = CONSTANTS[x.dtype]
    coefficients = tuple(c * 2 ** (k + 1) for k, c in enumerate(expm1))  # expm1(2r) / 2, for r
    double = x.dtype == types.float64

    def impl(x):
        u = absolute(x)
        u = where_less(one, u, one, u)  # NaN stays
        t = fma(u, 2 * LOG2E, shift)
        n = t - shift
        if double:
            first = fma(n, -high / 2, u)
            r = fma(n, -low / 2, first)  # half of the reduced 2u
            q = polynomial(r, coefficients)
            # what r rounded away: 2.3 instead of 2.6 ULP
            p = fma(r * r, q, fma(n, -low / 2, first - r)) + r
        else:  # n is small where tanh is not yet 1: one part of ln 2 will do
            r = fma(n, -LN2 / 2, u)
            p = fma(r * r, polynomial(r, coefficients), r)
        scale = pow2(t)
        e = fma(scale, p, fma(scale, 0.5, -0.5))  # expm1(2u) / 2
        return with_sign(e / (e + 1.0), x)

    return impl


@overloads(sigmoid)
def _sigmoid(x):
    if not isinstance(x, Vec):
        return None

    def impl(x):
        e = exp(-1.0 * absolute(x))
        d = e + 1.0
        lost = e - (d - 1.0)  # what the sum rounded away: 1 / (d + lost) = 1/d - lost / d**2
        q = e / d  # of -|x|, and 1 - q is 1 / d
        q = fma(q * lost, q - 1.0, q)
        return where_negative(x, q, 1.0 - q)

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
