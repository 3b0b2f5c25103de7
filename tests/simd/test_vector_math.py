"""Errors over the whole range, in units in the last place, and the special cases."""

import os
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba import types
from numba.extending import intrinsic, register_model

from rnn_fast.jit import compiled, has_avx512, has_flags, vector_bytes
from rnn_fast.simd import Vec, has_tables, lanes, load, store, width
from rnn_fast.simd import vector_math as vmath
from rnn_fast.simd.llvm import load_vector, store_vector
from rnn_fast.simd.types import VecModel
from rnn_fast.simd.vector_math import sigmoid, tanh

BOUNDS = {"tanh": 2.7, "sigmoid": 2.5, "exp": 1.1, "log1p": 2.5}
DTYPES = ["float32", "float64"]


def bound(name, dtype):
    if name == "tanh" and has_tables(Vec(types.float32)):
        return {"float32": 1.1, "float64": 3.0}[dtype.name]
    return BOUNDS[name]


def exact(name, x):
    x = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if name == "sigmoid":
            e = np.exp(-np.abs(x))
            return np.where(x < 0, e, 1) / (1 + e)
        return getattr(np, name)(x)


def vectorised(name, dtype):
    """Return the function `name` of the room, on arrays."""
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

    return apply


@pytest.fixture(scope="module", params=[(n, d) for n in BOUNDS for d in DTYPES], ids=str)
def function(request):
    name, dtype = request.param
    return name, np.dtype(dtype), vectorised(name, dtype)


def in_domain(name, x):
    x = x[np.isfinite(x)]
    return {"exp": -np.abs(x), "log1p": np.abs(x)}.get(name, x)


def least(dtype):
    """The least number that the bounds hold for."""
    fuses = vector_bytes() > 16 or not os.environ.get("NUMBA_CPU_NAME", "").startswith("x86-64")
    info = np.finfo(dtype)
    return info.tiny if fuses else info.tiny / info.eps  # below, a part of the sum is denormal: 0


def test_error(function):
    name, dtype, apply = function
    rng = np.random.default_rng(0)
    smallest = np.log10(4 * float(np.finfo(dtype).tiny))  # below, parts of a sum are denormal: 0
    ends = 120 if dtype == np.float32 else 800
    x = np.concatenate(
        [
            np.linspace(-ends, ends, 200_001),
            np.linspace(-12, 12, 1_000_001),
            2.0 ** -rng.integers(1, 9, 200_000) * rng.uniform(0.98, 1.02, 200_000),
            rng.uniform(-1, 1, 500_000),
            10 ** rng.uniform(smallest, 2, 500_000) * rng.choice([-1, 1], 500_000),
        ]
    )
    x = in_domain(name, x.astype(dtype))
    expected = exact(name, x)
    if name in ("exp", "sigmoid"):  # they give 0 for what is denormal
        x, expected = (a[expected >= least(dtype)] for a in (x, expected))
    y = apply(x)
    error = np.abs(y.astype(expected.dtype) - expected)
    with np.errstate(under="ignore"):
        ulp = error / np.spacing(np.abs(expected).astype(dtype)).astype(expected.dtype)
    worst = np.argmax(ulp)
    assert ulp[worst] <= bound(name, dtype), f"{ulp[worst]:.3f} ULP at {x[worst]!r}"


def test_special_cases(function):
    name, dtype, apply = function
    tiny, big = 4 * np.finfo(dtype).tiny, np.finfo(dtype).max
    cases = {
        "tanh": (
            [np.inf, -np.inf, big, -big, 0.0, -0.0, tiny, -tiny],
            [1.0, -1.0, 1.0, -1.0, 0.0, -0.0, tiny, -tiny],
        ),
        "sigmoid": (
            [np.inf, -np.inf, big, -big, 800.0, -800.0, 0.0, -0.0, tiny],
            [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.5],
        ),
        "exp": ([-np.inf, -800.0, 0.0, -0.0, -tiny], [0.0, 0.0, 1.0, 1.0, 1.0]),
        "log1p": ([0.0, tiny], [0.0, tiny]),
    }
    x, expected = (np.array(v, dtype) for v in cases[name])
    y = apply(x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))
    assert np.isnan(apply(np.array([np.nan], dtype))[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_falls_to_zero(dtype):
    """Where exp(-x) overflows, through denormal numbers or at once, and never to NaN."""
    info = np.finfo(dtype)
    smallest = np.log(info.tiny)
    x = np.linspace(smallest + 1, smallest - 3, 100_000, dtype=dtype)
    y = vectorised("sigmoid", dtype)(x)
    assert np.all(np.diff(y) <= 0) and y[0] > info.tiny and y[-1] == 0
    assert np.all(y[x < smallest] <= info.tiny)


@pytest.mark.skipif(not has_flags(llvm.get_process_triple()), reason="no flags of the processor")
def test_denormal_arguments_count_as_zero(function):
    name, dtype, apply = function
    denormal = np.array([np.finfo(dtype).smallest_subnormal, 0.9 * np.finfo(dtype).tiny], dtype)
    for sign in (-1, 1) if name in ("tanh", "sigmoid") else (-1,) if name == "exp" else (1,):
        x = np.copysign(denormal, sign)
        np.testing.assert_array_equal(apply(x), apply(np.copysign(np.zeros_like(x), sign)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_function_is_odd(dtype):
    apply = vectorised("tanh", dtype)
    x = 3 * np.random.default_rng(0).normal(size=4096)
    np.testing.assert_array_equal(apply(x), -apply(-x))


class HalfVec(Vec):
    """Half a register: ymm where zmm is the widest."""

    def __init__(self, dtype):
        self.dtype, self.n = dtype, lanes(dtype) // 2
        types.Type.__init__(self, f"HalfVec({dtype}, {self.n})")


register_model(HalfVec)(VecModel)


@intrinsic
def load_half(typing_context, p):
    half = HalfVec(p.dtype)

    def codegen(context, builder, signature, args):
        return load_vector(builder, args[0], context.get_value_type(half))

    return half(p), codegen


@intrinsic
def store_half(typing_context, p, half):
    def codegen(context, builder, signature, args):
        store_vector(builder, args[1], args[0])

    return types.void(p, half), codegen


@pytest.mark.skipif(vector_bytes() == 16, reason="no half of the narrowest register")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [tanh, sigmoid], ids=lambda kernel: kernel.__name__)
def test_half_a_register_gives_the_same_bits(kernel, dtype):
    def program(x, y, z, n):
        for i in range(0, n, width(x)):
            store(y + i, kernel(load(x + i)))
        for i in range(0, n, width(x) // 2):
            store_half(z + i, kernel(load_half(x + i)))

    run = compiled(program, dtype, x="reals", y="reals", z="reals", n="int")
    x = np.linspace(-30, 30, 4096, dtype=dtype)
    y, z = np.empty_like(x), np.empty_like(x)
    run(x.ctypes.data, y.ctypes.data, z.ctypes.data, len(x))
    np.testing.assert_array_equal(y, z)


@pytest.mark.skipif(not has_avx512(512), reason="all other tests are on the portable forms")
@pytest.mark.parametrize("processor", ["haswell", pytest.param("x86-64", marks=pytest.mark.sweep)])
def test_targets_without_tables(processor):
    """The same tests, on the portable forms."""
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", __file__],
        env=os.environ | {"NUMBA_CPU_NAME": processor},
        check=True,
    )
