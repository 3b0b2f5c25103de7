"""Gradients of weights of the units driver, from the rows of many steps."""

from __future__ import annotations

from numba import int64

from ...jit import kernel
from ...layout.unit_records import SOURCES, UnitGradient
from ...simd import load_tile, rank1, size, store_tile, view, width, zeros
from .products import row_panel
from .weights import panel_of

GRADIENT = len(UnitGradient._fields)
FROM_X, FROM_H, FROM_LATE = range(len(SOURCES))


@kernel(inline=True)
def rank_k(shape, R, da, da_step, b, b_step, M, grads, wide, fresh):
    """grads (R, lanes) += sum over M rows of da[:R]^T b; rows of grads are `wide` apart."""
    rows, _ = size(shape)
    for r in range(0, R, rows):
        to = grads + r * wide
        acc = zeros(shape) if fresh else load_tile(shape, to, wide)
        for m in range(M):
            acc = rank1(acc, da + (m * da_step + r), 1, b + m * b_step)
        store_tile(to, wide, acc)


@kernel
def weight_gradient(tiles, gradient, M, da, da_step, b, b_step, grads, fresh):
    """Add the gradient of weights over M rows to the accumulated one, or write it if `fresh`."""
    g, L, c = gradient, width(da), int64(0)
    if g.narrow:
        for k in range(g.C):
            narrow_gradient(tiles, g.R, g.C, k, M, da, da_step, b + k, b_step, grads, fresh)
        return
    N = (g.C + L - 1) // L * L
    _, two = size(tiles.grads.two)
    while c < N:
        u, wide = panel_of(tiles.line, N, c)
        to = grads + (u * g.R + c - u)
        if wide >= two:
            rank_k(tiles.grads.two, g.R, da, da_step, b + c, b_step, M, to, wide, fresh)
            c += two
        else:
            rank_k(tiles.grads.one, g.R, da, da_step, b + c, b_step, M, to, wide, fresh)
            c += L


@kernel
def narrow_gradient(tiles, R, C, k, M, da, da_step, b, b_step, grads, fresh):
    """Row k of grads (C, R) += sum over M rows of b[m] da[m, :R]."""
    u = int64(0)
    while u < R:
        _, wide = panel_of(tiles.line, R, u)
        to = grads + (u * C + k * wide)
        if wide == size(tiles.line.wide)[1]:
            add_row(tiles.sums.wide, tiles.line.wide, M, da + u, da_step, b, b_step, to, fresh)
        elif wide == size(tiles.line.two)[1]:
            add_row(tiles.sums.two, tiles.line.two, M, da + u, da_step, b, b_step, to, fresh)
        else:
            add_row(tiles.sums.one, tiles.line.one, M, da + u, da_step, b, b_step, to, fresh)
        u += wide


@kernel(inline=True)
def add_row(sums, row, M, da, da_step, b, b_step, to, fresh):
    """to (lanes) += sum over M rows of b[m] da[m, :]."""
    new = row_panel(sums, row, b, 0, b_step, da, 0, da_step, 1, M, False)
    store_tile(to, 0, new if fresh else new + load_tile(row, to, 0))


@kernel
def run_gradients(tiles, space, run, own, first, M, fresh):
    """Add the weight gradients of a run over M rows from step `first` on, or write them."""
    sizes, buffers = space.sizes, space.buffers
    row = first * sizes.samples
    for i in range(run.gradient, run.gradient + run.n_gradients):
        g = view(UnitGradient, sizes.gradients + i * GRADIENT)
        b, b_step = own.x, run.x_step
        if g.source == FROM_H:
            b, b_step = own.h, sizes.h_step
        elif g.source == FROM_LATE:
            b, b_step = own.a, sizes.a_step
        b = b + (row * b_step + g.col)
        da, grads = buffers.da + g.at, buffers.dw + g.grads
        weight_gradient(tiles, g, M, da, sizes.da_step, b, b_step, grads, fresh)
