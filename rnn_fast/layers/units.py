"""Units in lanes: the driver for one sample at a time, online training above all.

A product with one sample is limited by latency, so a tile holds several partial sums of a few
vectors of units each.  During an epoch the parameters stand padded, ``W`` in rows for the
backward pass and, turned around after each update, in columns for the forward pass.
"""

from __future__ import annotations

from .._jit import kernel
from ..cells import activate, activate_backward
from ..losses import loss_and_gradient
from ..simd import (
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
from .lanes import clear, product


@kernel(inline=True)
def combine(sums, row, a, a_step, b, ldb, K):
    """``sum over k < K of a[k * a_step] * b[k * ldb + :]``, a Tile of shape `row`.

    Term k goes to partial sum ``k % rows`` of the Shape `sums`; what is left over is added last.
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
def pad(sizes, flat, padded):
    """Flat W (H, S) and V (O, 1 + H) into rows of ld, the last column of each at lead + H."""
    H, S, ld, end = sizes.H, sizes.S, sizes.ld, sizes.lead + sizes.H
    for r in range(H):
        for k in range(S):
            padded[r * ld + end - S + k] = flat[r * S + k]
    flat, padded = flat + H * S, padded + sizes.Hp * ld
    for r in range(sizes.O):
        for k in range(1 + H):
            padded[r * ld + sizes.lead - 1 + k] = flat[r * (1 + H) + k]


@kernel
def unpad(sizes, padded, flat):
    """The reverse of `pad`."""
    H, S, ld, end = sizes.H, sizes.S, sizes.ld, sizes.lead + sizes.H
    for r in range(H):
        for k in range(S):
            flat[r * S + k] = padded[r * ld + end - S + k]
    flat, padded = flat + H * S, padded + sizes.Hp * ld
    for r in range(sizes.O):
        for k in range(1 + H):
            flat[r * (1 + H) + k] = padded[r * ld + sizes.lead - 1 + k]


@kernel
def turn_weights(sizes, w, wt):
    """``wt[k, u] = w[u, k]``."""
    L = width(w)
    for u in range(0, sizes.Hp, L):
        for k in range(0, sizes.ld, L):
            transpose(w + u * sizes.ld + k, sizes.ld, wt + k * sizes.Hp + u, sizes.Hp)


@kernel
def prepare_units(sizes, buffers):
    """Set what no other kernel writes: ones, h_0 = 0, padding, the weight of the one sample."""
    clear(buffers.z, (sizes.T + 1) * sizes.ld)
    for t in range(sizes.T + 1):
        buffers.z[t * sizes.ld + sizes.lead - 1] = 1.0
    L = width(buffers.z)
    clear(buffers.weights, L)
    clear(buffers.targets, sizes.Y * L)
    clear(buffers.logits, sizes.O * L)
    clear(buffers.w, sizes.parameters)
    clear(buffers.dw, sizes.parameters)
    clear(buffers.velocity, sizes.parameters)


# ------------------------------------------------------------------------------ time, both ways


@kernel
def load_sequence(sizes, buffers, x):
    """The sequence x (T, I) into z."""
    I, first = sizes.I, sizes.lead - 1 - sizes.I
    for t in range(sizes.T):
        for i in range(I):
            buffers.z[t * sizes.ld + first + i] = x[t * I + i]


@kernel
def unit_forward(cell, sums, row, sizes, buffers):
    """h_t = f(W z_t) for the sequence in z; logits = V [1; h_T]."""
    _, wide = size(row)
    I, ld, lead, Hp = sizes.I, sizes.ld, sizes.lead, sizes.Hp
    first = lead - 1 - I
    for t in range(sizes.T):
        z_t = buffers.z + t * ld
        K = sizes.S if t > 0 else I + 1  # h_0 = 0
        for u in range(0, Hp, wide):
            a_t = combine(sums, row, z_t + first, 1, buffers.wt + first * Hp + u, Hp, K)
            store_tile(z_t + ld + lead + u, 0, apply(activate, cell, a_t))
    h, v = buffers.z + sizes.T * ld, buffers.w + Hp * ld
    L = width(h)
    for o in range(sizes.O):
        acc = fill(h, 0.0)
        for k in range(lead - L, ld, L):
            acc = fma(load(v + o * ld + k), load(h + k), acc)
        buffers.logits[o * L] = total(acc)


@kernel
def unit_backward(cell, sums, row, sizes, buffers):
    """da_t for all t, from the gradient by the logits."""
    _, wide = size(row)
    T, ld, lead, Hp = sizes.T, sizes.ld, sizes.lead, sizes.Hp
    v = buffers.w + Hp * ld + lead
    L = width(v)
    for t in range(T - 1, -1, -1):
        da_t, h_t = buffers.da + t * Hp, buffers.z + (t + 1) * ld + lead
        for u in range(0, Hp, wide):
            if t == T - 1:  # logits = V [1; h_T]
                dh = combine(sums, row, buffers.logits, L, v + u, ld, sizes.O)
            else:  # a_{t+1} = Whh h_t + ...
                dh = combine(sums, row, da_t + Hp, 1, buffers.w + lead + u, ld, sizes.H)
            h = load_tile(row, h_t + u, 0)
            store_tile(da_t + u, 0, apply(activate_backward, cell, dh, h))


@kernel
def unit_gradients(square, sizes, buffers, fresh):
    """dw, dv: gradients of W = sum over t of da_t z_t^T and of V = dlogits [1; h_T]^T.

    Added to what stands there, unless `fresh`.
    """
    rows, wide = size(square)
    T, ld, lead, Hp = sizes.T, sizes.ld, sizes.lead, sizes.Hp
    for u in range(0, Hp, rows):
        for k in range(0, ld, wide):
            dw = buffers.dw + u * ld + k
            acc = zeros(square) if fresh else load_tile(square, dw, ld)
            store_tile(dw, ld, product(acc, buffers.da + u, 1, Hp, buffers.z + k, ld, T))
    L = width(buffers.z)
    h, dv = buffers.z + T * ld, buffers.dw + Hp * ld
    for o in range(sizes.O):
        dlogit = fill(h, buffers.logits[o * L])
        for k in range(lead - L, ld, L):
            at = dv + o * ld + k
            old = fill(h, 0.0) if fresh else load(at)
            store(at, fma(dlogit, load(h + k), old))


@kernel
def unit_loss(row, sizes, buffers, y, weight, loss):
    """Loss of the one sample and its gradient by the logits, in lane 0."""
    L = width(y)
    for o in range(sizes.Y):
        buffers.targets[o * L] = y[o]
    buffers.weights[0] = weight
    loss_and_gradient(row, loss, buffers, sizes.O)


@kernel
def all_finite(x, n):
    """1 if no x[i], i < n, is NaN or infinite, else 0."""
    nothing = x[0] * 0
    for i in range(n):
        nothing += x[i] * 0
    return 1 if nothing == 0 else 0
