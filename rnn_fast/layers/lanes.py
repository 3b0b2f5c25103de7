"""Samples in lanes: the driver for mini-batches.

A block of samples, one a lane, runs all T steps forward, then backward in chunks of steps, each
chunk's weight gradients right behind it while its data is in cache.  Weights are broadcast as
scalars; the state needs no padding but to whole tiles of units.  Every product is of one kind,
a register tile over ``rows`` units and ``lanes`` samples; sums over samples are taken on panels
of z turned around, or, for the columns that fill no panel, lane by lane.

Sizes are run-time numbers, only the tile is fixed in the code.  ``S = I + 1 + H`` is the height
of ``z_t = [x_t; 1; h_{t-1}]``.
"""

from __future__ import annotations

from numba import int64

from .._jit import kernel
from ..cells import activate, activate_backward
from ..losses import loss_and_gradient
from ..simd import (
    apply,
    dots,
    gather_transpose,
    load,
    load_tile,
    rank1,
    rank_lanes,
    size,
    store,
    store_tile,
    total,
    transpose,
    width,
    zeros,
)


@kernel(inline=True)
def product(acc, a, lda, step, b, ldb, K):
    """acc[r, :] + sum over k < K of ``a[r * lda + k * step] * b[k * ldb + :]``."""
    for k in range(K):
        acc = rank1(acc, a + k * step, lda, b + k * ldb)
    return acc


# ------------------------------------------------------------------------------------- weights


@kernel
def pack_forward(shape, matrix, R, C, out):
    """``out[block, k, r] = matrix[block * rows + r, k]``, zero below the matrix (R, C)."""
    rows, _ = size(shape)
    for u in range(0, R, rows):
        for r in range(rows):
            for k in range(C):
                out[u * C + k * rows + r] = matrix[(u + r) * C + k] if u + r < R else 0.0


@kernel
def pack_backward(shape, matrix, ld, R, C, out):
    """``out[block, k, c] = matrix[k * ld + block * rows + c]``, zero beside the matrix (R, C)."""
    rows, _ = size(shape)
    for u in range(0, C, rows):
        for k in range(R):
            for c in range(rows):
                out[u * R + k * rows + c] = matrix[k * ld + u + c] if u + c < C else 0.0


@kernel
def pack_weights(shape, sizes, buffers, parameters):
    """W and V, each packed for the product forward and the one backward."""
    H, O, S = sizes.H, sizes.O, sizes.S
    V = parameters + H * S
    pack_forward(shape, parameters, H, S, buffers.w_forward)
    pack_backward(shape, parameters + (S - H), S, H, H, buffers.w_backward)
    pack_forward(shape, V, O, 1 + H, buffers.v_forward)
    pack_backward(shape, V + 1, 1 + H, O, H, buffers.v_backward)


# --------------------------------------------------------------------------------------- input


@kernel
def prepare(shape, sizes, buffers):
    """Set what no other kernel writes: the one of every z_t, h_0 = 0."""
    _, lanes = size(shape)
    clear(buffers.z, sizes.step)
    for t in range(sizes.T + 1):
        one = buffers.z + t * sizes.step + sizes.I * lanes
        for v in range(lanes):
            one[v] = 1.0


@kernel
def clear(p, n):
    """Write n zeros."""
    for i in range(n):
        p[i] = 0.0


@kernel
def choose_samples(shape, order, n, samples, weights, weight):
    """The block's samples; lanes left over repeat the last with weight 0."""
    _, lanes = size(shape)
    for v in range(lanes):
        samples[v] = order[min(v, n - 1)]
        weights[v] = weight if v < n else 0.0


@kernel
def load_inputs(shape, sizes, buffers, x, samples):
    """Sequences ``x[samples[lane]]`` (T, I) into the x rows of z."""
    _, lanes = size(shape)
    I, n = sizes.I, sizes.T * sizes.I
    L = width(x)
    row, i = buffers.z, 0  # where x[:, q] goes: counted, for a division costs more than the row
    for q in range(0, n, L):
        here = min(L, n - q)
        direct = here == L and i + L <= I  # all of one step: its rows are neighbours
        to = row if direct else buffers.square
        if here == L:
            for v in range(0, lanes, L):
                gather_transpose(x + q, samples + v, n, to + v, lanes)
        else:
            for k in range(here):
                for v in range(lanes):
                    to[k * lanes + v] = x[samples[v] * n + q + k]
        for k in range(here):
            if not direct:
                for v in range(0, lanes, L):
                    store(row + v, load(to + k * lanes + v))
            row, i = row + lanes, i + 1
            if i == I:
                row, i = row + (sizes.step - I * lanes), 0


@kernel
def load_targets(shape, sizes, buffers, y, samples):
    """Targets ``y[samples[lane]]`` (Y,) as columns."""
    _, lanes = size(shape)
    for o in range(sizes.Y):
        for v in range(lanes):
            buffers.targets[o * lanes + v] = y[samples[v] * sizes.Y + o]


# ------------------------------------------------------------------------------ time, both ways


@kernel
def forward(cell, shape, sizes, buffers):
    """h_t = f(W z_t) for all t; logits = V [1; h_T]."""
    rows, lanes = size(shape)
    S, ones = sizes.S, sizes.S - sizes.H
    for t in range(sizes.T):
        z_t = buffers.z + t * sizes.step
        h_t = z_t + sizes.step + ones * lanes
        K = S if t > 0 else ones  # h_0 = 0
        for u in range(0, sizes.H, rows):
            a_t = product(zeros(shape), buffers.w_forward + u * S, 1, rows, z_t, lanes, K)
            store_tile(h_t + u * lanes, lanes, apply(activate, cell, a_t))
    one_and_h = buffers.z + sizes.T * sizes.step + sizes.I * lanes
    K = 1 + sizes.H
    for o in range(0, sizes.O, rows):
        logits = product(zeros(shape), buffers.v_forward + o * K, 1, rows, one_and_h, lanes, K)
        store_tile(buffers.logits + o * lanes, lanes, logits)


@kernel
def backward(cell, shape, sizes, buffers, first, last):
    """da_t for first <= t < last, into slots 0, 1, ...; the slot behind them holds da_last."""
    rows, lanes = size(shape)
    H, O = sizes.H, sizes.O
    for t in range(last - 1, first - 1, -1):
        h_t = buffers.z + (t + 1) * sizes.step + (sizes.S - H) * lanes
        da_t = buffers.da + (t - first) * sizes.slot
        for u in range(0, H, rows):
            if t == sizes.T - 1:  # logits = V [1; h_T]
                packed = buffers.v_backward + u * O
                dh = product(zeros(shape), packed, 1, rows, buffers.logits, lanes, O)
            else:  # a_{t+1} = Whh h_t + ...
                packed = buffers.w_backward + u * H
                dh = product(zeros(shape), packed, 1, rows, da_t + sizes.slot, lanes, H)
            h = load_tile(shape, h_t + u * lanes, lanes)
            store_tile(da_t + u * lanes, lanes, apply(activate_backward, cell, dh, h))


# ---------------------------------------------------------------------------- weight gradients


@kernel
def weight_gradients(shape, grads, R, C, da, da_step, z, z_step, steps, panel):
    """grads (R, C) += sum over steps and lanes of da_t z_t^T.

    The first ``C % lanes`` columns are summed lane by lane, the rest in panels.
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
    """Tiles of rows x vecs weights, a register of partial sums each; gives the end of them."""
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
def unpack_gradients(shape, grads, R, C, out):
    """out (R, C), from what `weight_gradients` accumulated over R padded to whole tiles."""
    rows, lanes = size(shape)
    L = width(out)
    vecs = lanes // L
    rest = C % lanes
    for c in range(0, rest, vecs):
        for r in range(R):
            for i in range(vecs):
                if c + i < rest:
                    out[r * C + c + i] = total(load(grads + i * L))
            grads = grads + lanes
        grads = grads + (-R % rows) * lanes
    for c in range(rest, C, lanes):
        for r in range(R):
            for i in range(lanes):
                out[r * C + c + i] = grads[i]
            grads = grads + lanes
        grads = grads + (-R % rows) * lanes


# ------------------------------------------------------------------------------------ batches


@kernel
def block_gradients(cell, shape, sizes, buffers):
    """Back through time, adding to the gradients of W and V."""
    _, lanes = size(shape)
    one = int64(1)  # a literal would compile weight_gradients once more
    z, da, panel, step, slot = buffers.z, buffers.da, buffers.panel, sizes.step, sizes.slot
    one_and_h = z + sizes.T * step + sizes.I * lanes
    weight_gradients(
        shape, buffers.dv, sizes.O, 1 + sizes.H, buffers.logits, slot, one_and_h, step, one, panel
    )
    last = sizes.T
    while last > 0:
        first = max(0, last - sizes.chunk)
        backward(cell, shape, sizes, buffers, first, last)
        weight_gradients(
            shape,
            buffers.dw,
            sizes.H,
            sizes.S,
            da,
            slot,
            z + first * step,
            step,
            last - first,
            panel,
        )
        behind = da + min(sizes.chunk, first) * slot  # where the next chunk looks for da_last
        for i in range(slot):
            behind[i] = da[i]
        last = first


@kernel
def batch_gradients(cell, shape, sizes, buffers, data, order, n, loss, gradients, result):
    """Gradient of the mean loss over the samples ``order[:n]``.

    Added to ``result[0]`` and ``result[1]``: their losses and how many are predicted right.
    """
    _, lanes = size(shape)
    x, y, samples = data
    H, S, O = sizes.H, sizes.S, sizes.O
    clear(buffers.dw, sizes.dw)
    clear(buffers.dv, sizes.dv)
    for first in range(0, n, lanes):
        here = min(lanes, n - first)
        choose_samples(shape, order + first, here, samples, buffers.weights, 1.0 / n)
        load_inputs(shape, sizes, buffers, x, samples)
        load_targets(shape, sizes, buffers, y, samples)
        forward(cell, shape, sizes, buffers)
        loss_and_gradient(shape, loss, buffers, O)
        for v in range(here):
            result[0] += buffers.losses[v]
            result[1] += buffers.hits[v]
        block_gradients(cell, shape, sizes, buffers)
    unpack_gradients(shape, buffers.dw, H, S, gradients)
    unpack_gradients(shape, buffers.dv, O, 1 + H, gradients + H * S)
