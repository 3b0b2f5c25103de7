"""Every tile operation, at every tile shape, against NumPy, with a forbidden page behind."""

import guarded
import numpy as np
import pytest

from rnn_fast.jit import compiled, vector_bytes
from rnn_fast.kernels.batch.matrices import product
from rnn_fast.kernels.single.recurrence import combine
from rnn_fast.simd import (
    Shape,
    absolute,
    clip,
    dots,
    flush,
    flush_root,
    gather_transpose,
    load,
    load_tile,
    prefetch,
    root,
    store,
    store_tile,
    total,
    transpose,
    where_less,
    with_sign,
    zeros,
)

DTYPES = ["float32", "float64"]
TILES = [(4, 2), (5, 2), (8, 1), (10, 1), (16, 1), (4, 4), (5, 4), (8, 2), (1, 1)]


def lanes(dtype):
    return vector_bytes() // np.dtype(dtype).itemsize


def address(*arrays):
    return [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arrays]


def random(dtype, *shape, seed=0):
    return guarded.copy(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def test_prefetch_of_an_address_without_memory():
    def program(p, out):
        prefetch(p)
        out[0] = 1.0

    out = np.zeros(1)
    compiled(program, "float64", p="reals", out="reals")(8, out.ctypes.data)
    assert out[0] == 1.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "vecs"), TILES)
def test_product(dtype, rows, vecs):
    shape, wide = Shape(dtype, rows, vecs), vecs * lanes(dtype)

    def program(a, lda, step, b, ldb, K, out, ldo):
        acc = load_tile(shape, out, ldo)
        store_tile(out, ldo, product(acc, a, lda, step, b, ldb, K))

    run = compiled(
        program,
        dtype,
        a="reals",
        lda="int",
        step="int",
        b="reals",
        ldb="int",
        K="int",
        out="reals",
        ldo="int",
    )
    for K in range(0, 2 * rows + 2):
        a, b, out = (
            random(dtype, *s) for s in ((rows, max(K, 1)), (max(K, 1), wide), (rows, wide))
        )
        expected = out.astype(float) + a[:, :K].astype(float) @ b[:K]
        run(*address(a, a.shape[1], 1, b, wide, K, out, wide))
        np.testing.assert_allclose(out, expected, rtol=0, atol=40 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("sums", "vecs"), [(8, 1), (4, 2), (2, 4)])
def test_combine(dtype, sums, vecs):
    partial, row = Shape(dtype, sums, vecs), Shape(dtype, 1, vecs)
    wide = vecs * lanes(dtype)

    def program(a, b, K, out):
        store_tile(out, 0, combine(partial, row, a, 1, b, wide, K))

    run = compiled(program, dtype, a="reals", b="reals", K="int", out="reals")
    for K in range(1, 2 * sums + 2):
        a, b, out = random(dtype, K), random(dtype, K, wide, seed=1), random(dtype, wide)
        run(*address(a, b, K, out))
        expected = a.astype(float) @ b
        np.testing.assert_allclose(out, expected, rtol=0, atol=40 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "vecs"), TILES)
def test_dots_and_total(dtype, rows, vecs):
    shape, L = Shape(dtype, rows, vecs), lanes(dtype)

    def program(a, b, out):
        store_tile(out, vecs * L, dots(zeros(shape), a, L, b, L))
        for i in range(rows * vecs):
            out[i] = total(load(out + i * L))

    run = compiled(program, dtype, a="reals", b="reals", out="reals")
    a, b, out = random(dtype, rows, L), random(dtype, vecs, L, seed=1), random(dtype, rows, vecs, L)
    run(*address(a, b, out))
    expected = a.astype(float) @ b.T
    got = out.ravel()[: rows * vecs].reshape(rows, vecs)
    np.testing.assert_allclose(got, expected, rtol=0, atol=40 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_and_gather(dtype):
    L = lanes(dtype)

    def program(a, order, lda, rows, out, gathered):
        transpose(a, lda, out, L)
        gather_transpose(a, order, lda, gathered, rows)

    arguments = {"order": "integers", "lda": "int", "rows": "integers", "out": "reals"}
    run = compiled(program, dtype, a="reals", **arguments, gathered="reals")
    a, out, gathered = random(dtype, L, L), random(dtype, L, L), random(dtype, L, L)
    shuffle = np.random.default_rng(0).permutation
    order, rows = guarded.copy(shuffle(L)), guarded.copy(shuffle(L) * L)
    run(*address(a, order, L, rows, out, gathered))
    np.testing.assert_array_equal(out, a.T)
    np.testing.assert_array_equal(gathered[rows // L], a[order].T)


@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise(dtype):
    L = lanes(dtype)
    denormal, root_of_denormal = (1e-39, 1e-20) if dtype == "float32" else (1e-309, 1e-155)

    def program(a, b, out):
        x, y = load(a), load(b)
        store(out, x + y)
        store(out + L, (x - 2.0) * y)
        store(out + 2 * L, 1.0 / y)
        store(out + 3 * L, clip(x, -0.5, 0.5))
        store(out + 4 * L, flush(x * denormal))
        store(out + 5 * L, where_less(x, y, x, 7.0))
        store(out + 6 * L, with_sign(absolute(x), y))
        visible = flush_root(x * root_of_denormal)
        store(out + 7 * L, visible * visible)
        store(out + 8 * L, root(absolute(x)))

    run = compiled(program, dtype, a="reals", b="reals", out="reals")
    a, b, out = random(dtype, L), random(dtype, L, seed=1), random(dtype, 9, L)
    a[-1] = np.nan
    run(*address(a, b, out))
    expected = [
        a + b,
        (a - 2) * b,
        1 / b,
        np.clip(a, -0.5, 0.5),
        np.where(np.isnan(a), np.nan, 0),
        np.where(a < b, a, 7),
        np.copysign(np.abs(a), b),
        np.where(np.isnan(a), np.nan, 0),
        np.sqrt(np.abs(a)),
    ]
    np.testing.assert_allclose(out, expected, rtol=2 * np.finfo(dtype).eps)
