"""Errors over the whole range, in units in the last place, and the special cases."""

import numpy as np
import pytest

from rnn_fast.jit import compiled, vector_bytes
from rnn_fast.simd import load, store, width
from rnn_fast.simd import vector_math as vmath
from rnn_fast.simd.vector_math import tanh

BOUNDS = {"tanh": 2.5, "sigmoid": 2.0, "exp": 1.1, "log1p": 2.5}
DTYPES = ["float32", "float64"]


def exact(name, x):
    x = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if name == "sigmoid":
            e = np.exp(-np.abs(x))
            return np.where(x < 0, e, 1) / (1 + e)
        return getattr(np, name)(x)


@pytest.fixture(scope="module", params=[(n, d) for n in BOUNDS for d in DTYPES], ids=str)
def function(request):
    name, dtype = request.param
    kernel = getattr(vmath, name)

    def program(x, y, n):
        for i in range(0, n, width(x)):
            store(y + i, kernel(load(x + i)))

    run = compiled(program, dtype, x="reals", y="reals", n="int")

    def apply(values):
        x = np.zeros(-(-len(values) // 16) * 16, dtype)
        x[: len(values)] = values
        y = np.empty_like(x)
        run(x.ctypes.data, y.ctypes.data, len(x))
        return y[: len(values)]

    return name, np.dtype(dtype), apply


def in_domain(name, x):
    x = x[np.isfinite(x)]
    return {"exp": -np.abs(x), "log1p": np.abs(x)}.get(name, x)


def test_error(function):
    name, dtype, apply = function
    rng = np.random.default_rng(0)
    smallest = np.log10(float(np.finfo(dtype).smallest_subnormal))
    ends = 120 if dtype == np.float32 else 800
    x = np.concatenate(
        [
            np.linspace(-ends, ends, 200_001),
            np.linspace(-12, 12, 1_000_001),
            rng.uniform(-1, 1, 500_000),
            10 ** rng.uniform(smallest, 2, 500_000) * rng.choice([-1, 1], 500_000),
        ]
    )
    x = in_domain(name, x.astype(dtype))
    expected = exact(name, x)
    if name in ("exp", "sigmoid"):  # they give 0 for what is denormal
        x, expected = (a[expected >= np.finfo(dtype).tiny] for a in (x, expected))
    y = apply(x)
    error = np.abs(y.astype(expected.dtype) - expected)
    with np.errstate(under="ignore"):
        ulp = error / np.spacing(np.abs(expected).astype(dtype)).astype(expected.dtype)
    worst = np.argmax(ulp)
    assert ulp[worst] <= BOUNDS[name], f"{ulp[worst]:.3f} ULP at {x[worst]!r}"


def test_special_cases(function):
    name, dtype, apply = function
    tiny = np.finfo(dtype).smallest_subnormal
    cases = {
        "tanh": ([np.inf, -np.inf, 0.0, -0.0, tiny, -tiny], [1.0, -1.0, 0.0, -0.0, tiny, -tiny]),
        "sigmoid": ([np.inf, -np.inf, -800.0, 0.0, -0.0, tiny], [1.0, 0.0, 0.0, 0.5, 0.5, 0.5]),
        "exp": ([-np.inf, -800.0, 0.0, -0.0, -tiny], [0.0, 0.0, 1.0, 1.0, 1.0]),
        "log1p": ([0.0, tiny], [0.0, tiny]),
    }
    x, expected = (np.array(v, dtype) for v in cases[name])
    y = apply(x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))
    assert np.isnan(apply(np.array([np.nan], dtype))[0])


def test_odd_function_is_odd():
    def program(x, y):
        store(y, tanh(load(x)))

    run = compiled(program, "float64", x="reals", y="reals")
    x = np.random.default_rng(0).normal(size=16)
    y, minus = np.empty_like(x), np.empty_like(x)
    negated = -x
    run(x.ctypes.data, y.ctypes.data)
    run(negated.ctypes.data, minus.ctypes.data)
    n = vector_bytes() // 8
    np.testing.assert_array_equal(y[:n], -minus[:n])
