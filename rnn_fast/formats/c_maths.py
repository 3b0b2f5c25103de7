"""The elementary functions in C, in plain arithmetic that compilers turn into vector code.

At most 2.6 (tanh), 2.2 (sigmoid) and 1.6 (exp) units in the last place, without FMA; the sweep is
in the tests.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

#: Coefficients of (exp(r) - 1 - r) / r**2 in r, lowest first, those of `simd.constants`: the least
#: largest relative error of exp(r) - 1 on |r| <= ln(2) / 2, 1.3e-8 and 2.6e-19.
COEFFICIENTS = {
    np.dtype(np.float32): (
        "0.49999998f",
        "0.16666543f",
        "4.1667204e-2f",
        "8.3666474e-3f",
        "1.3882487e-3f",
    ),
    np.dtype(np.float64): (
        "0.5",
        "0.16666666666666677",
        "4.166666666666651e-2",
        "8.333333333321702e-3",
        "1.38888888889623e-3",
        "1.9841269885938507e-4",
        "2.4801587172641975e-5",
        "2.755724440471733e-6",
        "2.755740258864728e-7",
        "2.510896729313972e-8",
        "2.087533581808052e-9",
    ),
}

#: texts of each dtype, by their names in C code
PARTS = {
    np.dtype(np.float32): {
        "REAL": "float",
        "FAST": "FP_FAST_FMAF",
        "FMA": "fmaf",
        "UINT": "uint32_t",
        "LOWEST": "-87.0f",
        "LOG2E": "1.44269504f",
        "HALF": "192.5f",
        "WHOLE": "192",
        "MINUS_HIGH": "-0.693359375f",
        "MINUS_LOW": "2.12194440e-4f",
        "BIAS": "127",
        "BITS": "23",
        "ZERO": "0.0f",
        "ONE": "1.0f",
        "TWO": "2.0f",
        "MINUS_TWO": "-2.0f",
        "ABS": "fabsf",
        "COPYSIGN": "copysignf",
    },
    np.dtype(np.float64): {
        "REAL": "double",
        "FAST": "FP_FAST_FMA",
        "FMA": "fma",
        "UINT": "uint64_t",
        "LOWEST": "-708.0",
        "LOG2E": "1.4426950408889634",
        "HALF": "1536.5",
        "WHOLE": "1536",
        "MINUS_HIGH": "-6.93147180369123816490e-01",
        "MINUS_LOW": "-1.90821492927058770002e-10",
        "BIAS": "1023",
        "BITS": "52",
        "ZERO": "0.0",
        "ONE": "1.0",
        "TWO": "2.0",
        "MINUS_TWO": "-2.0",
        "ABS": "fabs",
        "COPYSIGN": "copysign",
    },
}

#: each after those that it calls
FUNCTIONS = (
    """\
/* a b + c, in one instruction where C's math.h says that this is fast */
NAME_INLINE REAL NAME_fma(REAL a, REAL b, REAL c)
{
#ifdef FAST
    return FMA(a, b, c);
#else
    return a * b + c;
#endif
}
""",
    """\
/* exp(x) - less of x <= 0, with less 0 or 1: x = n ln 2 + r, |r| <= ln(2) / 2 */
NAME_INLINE REAL NAME_power(REAL x, REAL less)
{
    x = x < LOWEST ? LOWEST : x;
    const int32_t n = (int32_t)NAME_fma(x, LOG2E, HALF) - WHOLE;
    const REAL r = NAME_fma((REAL)n, MINUS_LOW, NAME_fma((REAL)n, MINUS_HIGH, x)), q = r * r;
EVEN
ODD
    const REAL p = NAME_fma(q, NAME_fma(r, odd, even), r); /* exp(r) - 1 */
    const UINT bits = (UINT)(n + BIAS) << BITS;
    REAL scale; /* 2^n */
    memcpy(&scale, &bits, sizeof scale);
    return NAME_fma(scale, p, scale - less);
}
""",
    """\
NAME_INLINE REAL NAME_exp(REAL x)
{
    const REAL e = NAME_power(-ABS(x), ZERO);
    return x < ZERO ? e : ONE / e;
}
""",
    """\
NAME_INLINE REAL NAME_tanh(REAL x)
{
    const REAL e = NAME_power(MINUS_TWO * ABS(x), ONE);
    return COPYSIGN(e / (e + TWO), x);
}
""",
    """\
NAME_INLINE REAL NAME_sigmoid(REAL x)
{
    const REAL e = NAME_power(-ABS(x), ZERO);
    return (x < ZERO ? e : ONE) / (e + ONE);
}
""",
    """\
NAME_INLINE REAL NAME_relu(REAL x)
{
    return x < ZERO ? ZERO : x;
}
""",
)


def horner(name: str, coefficients: tuple[str, ...]) -> str:
    """Return the statements of a polynomial in q, lowest coefficient first."""
    *rest, highest = coefficients
    lines = [f"    REAL {name} = {highest};"]
    lines += [f"    {name} = NAME_fma(q, {name}, {number});" for number in reversed(rest)]
    return "\n".join(lines)


def literal(number: Any) -> str:
    """Return a number of NumPy as C writes it; it reads back as the same."""
    return f"{number!s}{'f' if number.itemsize == 4 else ''}"


def columns(width: int) -> str:
    """Return the function that adds a product to a block of columns."""
    return f"""\
/* y += w x, of n numbers x and n rows w of {width} columns */
static inline void NAME_columns_{width}(
    const REAL *NAME_RESTRICT w, const REAL *NAME_RESTRICT x, int n, REAL *NAME_RESTRICT y)
{{
    REAL sum[{width}];
    for (int j = 0; j < {width}; j++)
        sum[j] = y[j];
    for (int k = 0; k < n; k++, w += {width}) {{
#if defined(__GNUC__) && !defined(__clang__) /* or else -O2 leaves the sums in memory */
#pragma GCC unroll 16
#endif
        for (int j = 0; j < {width}; j++)
            sum[j] = NAME_fma(w[j], x[k], sum[j]);
    }}
    for (int j = 0; j < {width}; j++)
        y[j] = sum[j];
}}
"""


def functions_for(text: str) -> str:
    """Return the functions that a text calls, and those that they call."""
    widths = sorted({int(width) for width in re.findall(r"NAME_columns_(\d+)\(", text)})
    found = "\n".join(map(columns, widths))
    for function in reversed(FUNCTIONS):
        if re.findall(r"NAME_\w+\(", function)[0] in text + found:
            found = f"{function}\n{found}"
    return found


def in_dtype(text: str, dtype: np.dtype) -> str:
    """Return a text with a dtype's parts in the place of their names."""
    for name, start in (("even", 0), ("odd", 1)):
        text = text.replace(name.upper(), horner(name, COEFFICIENTS[dtype][start::2]))
    names = re.compile(rf"\b({'|'.join(PARTS[dtype])})\b")
    return names.sub(lambda found: PARTS[dtype][found[0]], text)
