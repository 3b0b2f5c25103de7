"""The single driver: units in lanes, for one sample at a time, online training above all.

Latency limits a product with one sample, so a tile holds several partial sums of a few vectors of
units each.  During an epoch the parameters are padded: ``Whh`` in rows for the backward pass and,
turned around after each update, in columns for the forward pass; ``[Wxh | bh]``, which only the
forward pass reads, in columns.
"""

from __future__ import annotations

from ...cells.kernels import activate, activate_backward
from ...jit import kernel
from ...simd import (
    apply,
    fill,
    fma,
    load,
    load_tile,
    rank1,
    size,
    spread,
    store,
    store_tile,
    sum_rows,
    total,
    transpose,
    width,
    zeros,
)
from ..batch.matrices import clear, product
from ..loss import compare


@kernel(inline=True)
def combine(sums, row, a, a_step, b, ldb, K):
    """``sum over k < K of a[k * a_step] * b[k * ldb + :]``, a Tile of shape `row`.

    Term k goes to partial sum ``k % rows`` of the Shape `sums`; the terms left over are added last.
    """
    rows, _ = size(sums)
    acc = zeros(sums)
    whole = K - K % rows
    for k in range(0, whole, rows):
        factors = spread(sums, a + k * a_step, a_step)
        acc = fma(factors, load_tile(sums, b + k * ldb, ldb), acc)
    result = sum_rows(acc, row)
    for k in range(whole, K):
        result = rank1(result, a + k * a_step, 0, b + k * ldb)
    return result


# ---------------------------------------------------------------------------------- parameters


@kernel
def pad(sizes, flat, w):
    """Copy flat W (H, S) and V (O, 1 + H) to their places in `SingleBuffers`."""
    H, I, S, Hp = sizes.H, sizes.I, sizes.S, sizes.Hp
    for r in range(H):
        for k in range(I + 1):
            w[sizes.wx + k * Hp + r] = flat[r * S + k]
        for k in range(H):
            w[r * Hp + k] = flat[r * S + I + 1 + k]
    flat, v = flat + H * S, w + (Hp * Hp + width(w) - 1)
    for r in range(sizes.O):
        for k in range(1 + H):
            v[r * sizes.lv + k] = flat[r * (1 + H) + k]


@kernel
def unpad(sizes, w, flat):
    """Copy padded weights to the flat vector: the reverse of `pad`."""
    H, I, S, Hp = sizes.H, sizes.I, sizes.S, sizes.Hp
    for r in range(H):
        for k in range(I + 1):
            flat[r * S + k] = w[sizes.wx + k * Hp + r]
        for k in range(H):
            flat[r * S + I + 1 + k] = w[r * Hp + k]
    flat, v = flat + H * S, w + (Hp * Hp + width(w) - 1)
    for r in range(sizes.O):
        for k in range(1 + H):
            flat[r * (1 + H) + k] = v[r * sizes.lv + k]


@kernel
def turn_weights(sizes, w):
    """Write the copy of Whh in columns, at the end of w."""
    L, Hp = width(w), sizes.Hp
    for u in range(0, Hp, L):
        for k in range(0, Hp, L):
            transpose(w + u * Hp + k, Hp, w + sizes.parameters + k * Hp + u, Hp)


@kernel
def prepare_units(sizes, buffers, rows):
    """Write the ones, h_0 = 0 and the padding: no other kernel writes them."""
    clear(buffers.z, (sizes.T + 1) * sizes.ld)
    for t in range(sizes.T + 1):
        buffers.z[t * sizes.ld + sizes.lead - 1] = 1.0
    L = width(buffers.z)
    clear(buffers.weights, L)
    clear(buffers.targets, sizes.Y * L)
    clear(buffers.logits, sizes.O * L)
    clear(buffers.w, sizes.parameters)
    clear(buffers.dw, sizes.parameters)
    clear(buffers.moments, rows * sizes.parameters)
    clear(buffers.penalties, 2 * sizes.parameters)


# ------------------------------------------------------------------------------ time, both ways


@kernel
def load_sequence(sizes, buffers, x):
    """Copy the sequence x (T, I) into z."""
    I, first = sizes.I, sizes.lead - 1 - sizes.I
    for t in range(sizes.T):
        for i in range(I):
            buffers.z[t * sizes.ld + first + i] = x[t * I + i]


@kernel
def restore_sequence(sizes, buffers, x):
    """Copy the sequence in z back to x."""
    I, first = sizes.I, sizes.lead - 1 - sizes.I
    for t in range(sizes.T):
        for i in range(I):
            x[t * I + i] = buffers.z[t * sizes.ld + first + i]


@kernel
def within(x, n, limit):
    """Return 0 if an x[i], i < n, is NaN or larger than `limit`, else 1."""
    sound = 1
    for i in range(n):
        if not abs(x[i]) <= limit:
            sound = 0
    return sound


@kernel
def unit_forward(cell, sums, row, sizes, buffers):
    """h_t = f(W z_t) for the sequence in z; logits = V [1; h_T]."""
    _, wide = size(row)
    I, ld, lead, Hp = sizes.I, sizes.ld, sizes.lead, sizes.Hp
    first, wt = lead - 1 - I, buffers.w + sizes.wx
    for t in range(sizes.T):
        z_t = buffers.z + t * ld
        K = sizes.S if t > 0 else I + 1  # h_0 = 0
        for u in range(0, Hp, wide):
            a_t = combine(sums, row, z_t + first, 1, wt + u, Hp, K)
            store_tile(z_t + ld + lead + u, 0, apply(activate, cell, a_t))
    L = width(wt)
    one_and_h, v = buffers.z + (sizes.T * ld + lead - L), buffers.w + Hp * Hp
    for o in range(sizes.O):
        acc = fill(v, 0.0)
        for k in range(0, sizes.lv, L):
            acc = fma(load(v + o * sizes.lv + k), load(one_and_h + k), acc)
        buffers.logits[o * L] = total(acc)


@kernel
def unit_backward(cell, sums, row, sizes, buffers):
    """da_t for all t, from the gradient with respect to the logits."""
    _, wide = size(row)
    T, ld, Hp = sizes.T, sizes.ld, sizes.Hp
    L = width(buffers.w)
    v = buffers.w + Hp * Hp + L
    for t in range(T - 1, -1, -1):
        da_t, h_t = buffers.da + t * Hp, buffers.z + (t + 1) * ld + sizes.lead
        for u in range(0, Hp, wide):
            if t == T - 1:  # logits = V [1; h_T]
                dh = combine(sums, row, buffers.logits, L, v + u, sizes.lv, sizes.O)
            else:  # a_{t+1} = Whh h_t + ...
                dh = combine(sums, row, da_t + Hp, 1, buffers.w + u, Hp, sizes.H)
            h = load_tile(row, h_t + u, 0)
            store_tile(da_t + u, 0, apply(activate_backward, cell, dh, h))


@kernel
def unit_gradients(sums, row, tile, sizes, buffers, fresh):
    """Gradients of W = sum over t of da_t z_t^T and of V = dlogits [1; h_T]^T.

    Added to the gradients so far, unless `fresh`.
    """
    rows, wide = size(tile)
    T, ld, lead, Hp = sizes.T, sizes.ld, sizes.lead, sizes.Hp
    for u in range(0, Hp, rows):
        for k in range(0, Hp, wide):
            dw = buffers.dw + u * Hp + k
            acc = zeros(tile) if fresh else load_tile(tile, dw, Hp)
            store_tile(dw, Hp, product(acc, buffers.da + u, 1, Hp, buffers.z + lead + k, ld, T))
    _, wide = size(row)
    x_and_one = buffers.z + (lead - 1 - sizes.I)
    for k in range(sizes.I + 1):
        for u in range(0, Hp, wide):
            dw = buffers.dw + sizes.wx + k * Hp + u
            acc = combine(sums, row, x_and_one + k, ld, buffers.da + u, Hp, T)
            store_tile(dw, 0, acc if fresh else acc + load_tile(row, dw, 0))
    L = width(buffers.z)
    one_and_h, dv = buffers.z + (T * ld + lead - L), buffers.dw + Hp * Hp
    for o in range(sizes.O):
        dlogit = fill(dv, buffers.logits[o * L])
        for k in range(0, sizes.lv, L):
            at = dv + o * sizes.lv + k
            old = fill(dv, 0.0) if fresh else load(at)
            store(at, fma(dlogit, load(one_and_h + k), old))


@kernel
def unit_loss(job, sizes, buffers, y, weight):
    """Loss of the sample and its gradient with respect to the logits, in lane 0."""
    L = width(y)
    for o in range(sizes.Y):
        buffers.targets[o * L] = y[o]
    buffers.weights[0] = weight
    compare(job, buffers.logits, buffers, 1.0, L, sizes.O)
