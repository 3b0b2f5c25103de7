"""Matrices of the batch driver: weights packed into tiles, products, gradients of weights.

Every product is of one kind, a register tile over ``rows`` rows and ``lanes`` samples, and of one
compiled function.  Tables of `layout.batch` say which rows meet which; sizes are run-time numbers,
only the tile is fixed in the code.
"""

from __future__ import annotations

from numba import int64

from ...jit import kernel
from ...layout.batch_records import Line, Pack, Product, RankK, Unpack
from ...simd import (
    dots,
    fill,
    load,
    load_tile,
    rank1,
    rank_lanes,
    size,
    store,
    store_tile,
    total,
    transpose,
    view,
    width,
    zeros,
)

PACK, PRODUCT, RANK_K, UNPACK, LINE = (
    len(record._fields) for record in (Pack, Product, RankK, Unpack, Line)
)


@kernel
def clear(p, n):
    """Write n zeros."""
    for i in range(n):
        p[i] = 0.0


@kernel(inline=True)
def product(acc, a, lda, step, b, ldb, K):
    """acc[r, :] + sum over k < K of ``a[r * lda + k * step] * b[k * ldb + :]``."""
    for k in range(K):
        acc = rank1(acc, a + k * step, lda, b + k * ldb)
    return acc


@kernel
def multiply(shape, a, height, R, K, b, out, add):
    """out (R, lanes) = A b, or += where `add`; b (K, lanes).

    A is packed in blocks of ``height * rows``, of which the first K columns are used.  Whole tiles
    are written: up to ``rows - 1`` rows below R as well.
    """
    rows, lanes = size(shape)
    for u in range(0, R, rows):
        acc = load_tile(shape, out + u * lanes, lanes) if add else zeros(shape)
        acc = product(acc, a + u * height, 1, rows, b, lanes, K)
        store_tile(out + u * lanes, lanes, acc)


@kernel
def run_products(shape, weights, table, first, n, z, a, zero):
    """Compute the forward products `first` to ``first + n`` of the table, of one step.

    zero : bool
        Whether h_{t-1} is zero.
    """
    for i in range(first, first + n):
        p = view(Product, table + i * PRODUCT)
        b = (a if p.kept else z) + p.at
        K = p.K_first if zero else p.K
        multiply(shape, weights + p.packed, p.height, p.R, K, b, a + p.to, p.add)


# ------------------------------------------------------------------------------------ weights


@kernel
def pack(shape, pack, source, out):
    """Pack one matrix of the table.  Zeros of fresh memory fill up its last tile."""
    rows, _ = size(shape)
    if pack.right > pack.down:  # its columns lie closer together than its rows
        for k in range(pack.C):
            pack_column(shape, pack, source + k * pack.right, out + (pack.k0 + k) * rows)
        return
    whole = pack.R // rows * rows if pack.right == 1 and pack.r0 % rows == 0 else 0
    for i in range(0, whole, rows):  # vectors of numbers: a third of the time of row after row
        to = out + ((pack.r0 + i) * pack.height + pack.k0 * rows)
        for k in range(pack.C):
            for r in range(rows):
                to[k * rows + r] = source[(i + r) * pack.down + k]
    for i in range(whole, pack.R):
        r = pack.r0 + i
        row, to = source + i * pack.down, out + (r // rows * pack.height + pack.k0) * rows
        for k in range(pack.C):
            to[k * rows + r % rows] = row[k * pack.right]


@kernel(inline=True)
def pack_column(shape, pack, source, out):
    """Pack one column, whose place in the first block of rows is `out`."""
    rows, _ = size(shape)
    whole = 0
    if pack.down == 1 and pack.r0 % rows == 0:
        whole = pack.R // rows * rows
        for i in range(0, whole, rows):
            to = out + (pack.r0 + i) * pack.height
            for r in range(rows):
                to[r] = source[i + r]
    for i in range(whole, pack.R):
        r = pack.r0 + i
        out[r // rows * pack.height * rows + r % rows] = source[i * pack.down]


@kernel
def pack_weights(shape, sizes, parameters, weights):
    """Pack all weights, for the products of both passes."""
    _, lanes = size(shape)
    for i in range(sizes.n_packs):
        p = view(Pack, sizes.packs + i * PACK)
        pack(shape, p, parameters + p.source, weights + p.out)
    for i in range(sizes.n_spreads):
        line = view(Line, sizes.spreads + i * LINE)
        for k in range(line.n):
            for v in range(0, lanes, width(weights)):
                at = weights + line.wide + (k * lanes + v)
                store(at, fill(at, parameters[line.flat + k]))


# -------------------------------------------------------------------------- weight gradients


@kernel
def run_gradients(shape, space, run, z, a, steps):
    """Add the weight gradients of a run over `steps` steps, of which z and a are the first."""
    sizes, buffers = space.sizes, space.buffers
    for i in range(run.rank_k, run.rank_k + run.n_rank_ks):
        g = view(RankK, sizes.rank_ks + i * RANK_K)
        b, b_step = (a, run.keep) if g.kept else (z, run.step)
        grads, da = buffers.grads + g.grads, buffers.da + g.at
        weight_gradients(
            shape, grads, g.R, g.C, da, sizes.slot, b + g.col, b_step, steps, buffers.panel
        )


@kernel
def weight_gradients(shape, grads, R, C, da, da_step, z, z_step, steps, panel):
    """grads (R, C) += sum over steps and lanes of da_t z_t^T.

    The first ``C % lanes`` columns are summed lane by lane, the rest in panels: z turned around,
    samples in rows.
    """
    rows, lanes = size(shape)
    rest = C % lanes
    grads = lane_gradients(shape, grads, R, rest, da, da_step, z, z_step, steps)
    for c in range(rest, C, lanes):
        for t in range(steps):
            turn(shape, z + t * z_step + c * lanes, panel + t * lanes * lanes)
        for r in range(0, R, rows):
            acc = load_tile(shape, grads, lanes)
            for t in range(steps):
                da_t = da + t * da_step + r * lanes
                acc = rank_lanes(acc, da_t, lanes, panel + t * lanes * lanes)
            store_tile(grads, lanes, acc)
            grads = grads + rows * lanes


@kernel(inline=True)
def lane_gradients(shape, grads, R, C, da, da_step, z, z_step, steps):
    """Add to tiles of rows x vecs weights, a register of partial sums each; return their end."""
    rows, lanes = size(shape)
    L = width(da)
    vecs = lanes // L
    for c in range(0, C, vecs):
        for r in range(0, R, rows):
            acc = load_tile(shape, grads, lanes)
            for t in range(steps):
                da_t = da + t * da_step + r * lanes
                z_t = z + t * z_step + c * lanes
                for v in range(0, lanes, L):
                    acc = dots(acc, da_t + v, lanes, z_t + v, lanes)
            store_tile(grads, lanes, acc)
            grads = grads + rows * lanes
    return grads


@kernel
def turn(shape, source, to):
    """``to[c, r] = source[r, c]``, lanes x lanes."""
    _, lanes = size(shape)
    L = width(source)
    for r in range(0, lanes, L):
        for c in range(0, lanes, L):
            transpose(source + r * lanes + c, lanes, to + c * lanes + r, lanes)


@kernel
def put(value, to, adds):
    """Write a number, or add it."""
    to[0] = to[0] + value if adds else value


@kernel
def put_row(source, n, to, adds):
    """Write or add n numbers that lie side by side in both places."""
    L = width(to)
    whole = n - n % L
    for k in range(0, whole, L):
        row = load(source + k)
        store(to + k, load(to + k) + row if adds else row)
    for k in range(whole, n):
        put(source[k], to + k, adds)


@kernel
def unpack(shape, grads, part, out, adds):
    """Write the rows and columns of an accumulated gradient that an `Unpack` names."""
    rows, lanes = size(shape)
    L = width(out)
    vecs = lanes // L
    high = (part.R + rows - 1) // rows * rows
    rest = part.C % lanes
    panels = grads + (rest + vecs - 1) // vecs * high * lanes
    for i in range(part.n_rows):
        r, k = part.row + i, int64(0)
        row = out + i * part.down
        while k < part.n_columns:
            c = part.column + k
            if c < rest:
                at = grads + ((c // vecs * high + r) * lanes + c % vecs * L)
                put(total(load(at)), row + k * part.right, adds)
                k += 1
                continue
            c = c - rest
            at = panels + ((c // lanes * high + r) * lanes + c % lanes)
            n = min(lanes - c % lanes, part.n_columns - k)
            if part.right == 1:
                put_row(at, n, row + k, adds)
            else:
                for j in range(n):
                    put(at[j], row + (k + j) * part.right, adds)
            k += n


@kernel
def unpack_gradients(shape, sizes, grads, flat, adds):
    """Write all accumulated gradients to a flat vector, or add them."""
    _, lanes = size(shape)
    for i in range(sizes.n_unpacks):
        part = view(Unpack, sizes.unpacks + i * UNPACK)
        unpack(shape, grads + part.grads, part, flat + part.out, adds)
    for i in range(sizes.n_sums):
        line = view(Line, sizes.sums + i * LINE)
        for k in range(line.n):
            at = grads + line.wide + k * lanes
            acc = load(at)
            for v in range(width(grads), lanes, width(grads)):
                acc = acc + load(at + v)
            put(total(acc), flat + (line.flat + k), adds)


@kernel
def add_up(flats, groups, stride, n, out):
    """``out[i]`` = the sum of ``flats[g, i]``, g < groups, in their order; n numbers."""
    L = width(out)
    whole = n - n % L
    for i in range(0, whole, L):
        acc = load(flats + i)
        for g in range(1, groups):
            acc = acc + load(flats + (g * stride + i))
        store(out + i, acc)
    for i in range(whole, n):
        sum_ = flats[i]
        for g in range(1, groups):
            sum_ += flats[g * stride + i]
        out[i] = sum_
