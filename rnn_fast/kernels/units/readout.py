"""Rows of outputs to logits and loss, as many at a time as a register has lanes, and back.

From here on rows lie in lanes, as samples do in the batch driver, and its kernels do the rest.  A
single row would leave all lanes but one empty: its products have units or outputs in lanes.
"""

from __future__ import annotations

from numba import int64

from ...jit import kernel
from ...layout.batch_records import SUMS, Unpack
from ...simd import exists, load, size, store, store_tile, transpose, view, width, zeros
from ..batch import matrices
from ..batch.matrices import UNPACK, clear, product, unpack, weight_gradients
from ..batch.readout import load_target
from ..batch.vectors import copy
from ..loss import compare
from .workspace import buffers_of_run, run_of


@kernel
def output_of(space, T, row, d):
    """Outputs (H,) of the top layer in direction d, for a row of all steps, or of the last."""
    sizes, S = space.sizes, space.sizes.samples
    own = buffers_of_run(space, (sizes.layers - 1) * sizes.directions + d)
    s, b = row // S, row % S
    if not sizes.sequences:
        s = T - 1
    elif d:
        s = T - 1 - s
    return own.h + ((s + 1) * S + b) * sizes.h_step


@kernel
def rows_of(space, T):
    """Rows that are read out, and the lanes that they lie in: 1 for a single row."""
    sizes = space.sizes
    rows = T * sizes.samples if sizes.sequences else sizes.samples
    return rows, width(space.buffers.top) if rows > 1 else 1


@kernel
def load_top(space, T, first, n, lanes):
    """top (1 + D H, lanes) = [1; y] of n rows from `first` on, zero in the lanes left over."""
    sizes, top = space.sizes, space.buffers.top
    L, H, height = width(top), sizes.H, 1 + sizes.directions * sizes.H
    if n < lanes:
        clear(top, height * L)
    for v in range(n):
        top[v] = 1.0
    for d in range(sizes.directions):
        to = top + (1 + d * H) * lanes
        whole = int64(0)
        if lanes == 1:
            copy(to, output_of(space, T, first, d), H)
            whole = H
        elif n == L and sizes.samples == 1 and (d == 0 or not sizes.sequences):
            whole = H - H % L
            for j in range(0, whole, L):
                y = output_of(space, T, first, d)
                transpose(y + j, sizes.h_step, to + j * L, L)
        for v in range(n):
            y = output_of(space, T, first + v, d)
            for j in range(whole, H):
                to[j * L + v] = y[j]
    if sizes.readout_dropout:
        for v in range(n):
            mask = readout_mask(space, first + v)
            for j in range(height - 1):
                top[(1 + j) * lanes + v] *= mask[j]


@kernel
def readout_mask(space, row):
    """Factors (D H,) of dropout on the outputs of a row."""
    sizes = space.sizes
    own = buffers_of_run(space, (sizes.layers - 1) * sizes.directions)
    return own.mask + row * sizes.directions * sizes.H


@kernel
def multiply_one(tiles, a, step, packed, K, N, out):
    """out (N) = W a, in the order of `matrices.multiply`; packed (N / rows, K, rows) with zeros.

    Number k of a is ``a[k * step]``.  Whole tiles are written: `layout.memory` ends each buffer at
    a multiple of `ALIGN` numbers, which is one of `rows`.
    """
    _, rows = size(tiles.packed)
    for u in range(0, N, rows):
        acc = product(zeros(tiles.packed), a, 0, step, packed + u * K, rows, K)
        store_tile(out + u, 0, acc)


@kernel
def logits_of(tiles, space, first, n, lanes):
    """logits = V [1; y], of the n rows in `top`, and their first inputs with a skip."""
    sizes, buffers = space.sizes, space.buffers
    L = width(buffers.top)
    K = 1 + sizes.directions * sizes.H
    w = buffers.turned + sizes.v_forward
    if lanes == 1:
        multiply_one(tiles, buffers.top, 1, w, K, sizes.O, buffers.dtop)
        for o in range(sizes.O):
            buffers.logits[o * L] = buffers.dtop[o]
    else:
        matrices.multiply(tiles.read, w, K, sizes.O, K, buffers.top, buffers.logits, 0)
    if sizes.skip:
        for v in range(n):
            x = buffers_of_run(space, 0).x + (first + v) * run_of(space, 0).x_step
            for o in range(sizes.O):
                buffers.logits[o * L + v] += x[o]
    return buffers.logits


@kernel
def load_targets(space, job, block, first, n):
    """Targets (Y, lanes) and weights of some rows; 0 where nothing is compared."""
    sizes, buffers = space.sizes, space.buffers
    L = width(buffers.weights)
    for v in range(n):
        t, b = (first + v) // sizes.samples, (first + v) % sizes.samples
        load_target(sizes, buffers, job, block, b, t, b < block.n, v, L)
    for v in range(n, L):
        buffers.weights[v] = 0.0
        for o in range(sizes.Y):
            buffers.targets[o * L + v] = 0.0


@kernel
def read_out(tiles, space, job, block, factor, result):
    """Losses of all rows, and their gradients with respect to V and to the outputs."""
    sizes = space.sizes
    if sizes.O == 0:
        load_output_gradients(space, job, block)
        return
    buffers, L = space.buffers, width(space.buffers.top)
    rows, lanes = rows_of(space, block.T)
    clear(buffers.dv, sizes.dv if lanes > 1 else 0)
    for first in range(0, rows, L):
        n = min(L, rows - first)
        load_top(space, block.T, first, n, lanes)
        logits = logits_of(tiles, space, first, n, lanes)
        load_targets(space, job, block, first, n)
        compare(job, logits, buffers, factor, L, sizes.O)
        add_losses(buffers, n, result)
        if lanes == 1:
            gradients_of_row(tiles, space)
        else:
            gradients_of_rows(tiles, space, first, n)
    for i in range(sizes.n_unpacks if lanes > 1 else 0):
        part = view(Unpack, sizes.unpacks + i * UNPACK)
        unpack(tiles.read, buffers.dv + part.grads, part, buffers.dw + part.out, False)


@kernel
def load_output_gradients(space, job, block):
    """Read the gradient with respect to the outputs of the top layer, without a head."""
    sizes = space.sizes
    for b in range(sizes.samples):
        end = block.ids.lengths[b] if b < block.n else 0
        for t in range(block.T):
            dy = space.buffers.dy + (t * sizes.samples + b) * sizes.dy_step
            source = job.y + (block.ids.rows[b] + t) * sizes.Y
            for j in range(sizes.Y):
                dy[j] = source[j] if t < end else 0.0


@kernel
def add_losses(buffers, n, result):
    """Add the losses, hits and weights of n lanes."""
    for v in range(n):
        weight = float(buffers.weights[v])
        if weight > 0.0:
            result[SUMS.loss] += weight * buffers.losses[v]
            result[SUMS.hits] += weight * buffers.hits[v]
            result[SUMS.weight] += weight


@kernel
def gradients_of_rows(tiles, space, first, n):
    """Gradients of V and of the outputs, from the gradient with respect to the logits."""
    sizes, buffers = space.sizes, space.buffers
    _, L = size(tiles.read)
    height, O = sizes.directions * sizes.H, sizes.O
    logits, top, dv = buffers.logits, buffers.top, buffers.dv
    if sizes.narrow:
        weight_gradients(tiles.read, dv, height + 1, O, top, 0, logits, 0, 1, buffers.panel)
    else:
        weight_gradients(tiles.read, dv, O, height + 1, logits, 0, top, 0, 1, buffers.panel)
    # logits = V [1; y]
    v_backward = buffers.turned + sizes.v_backward
    matrices.multiply(tiles.read, v_backward, O, height, O, logits, buffers.dtop, 0)
    for v in range(n):
        dy = buffers.dy + (first + v) * sizes.dy_step
        for j in range(height):
            dy[j] = buffers.dtop[j * L + v]
        if sizes.readout_dropout:
            mask = readout_mask(space, first + v)
            for j in range(height):
                dy[j] *= mask[j]


@kernel
def gradients_of_row(tiles, space):
    """Gradients of V and of the outputs, of a single row."""
    sizes, buffers = space.sizes, space.buffers
    logits, L, O = buffers.logits, width(buffers.logits), sizes.O
    height = sizes.directions * sizes.H
    whole = (1 + height) // L * L
    for o in range(O):
        dv, dlogit = buffers.dw + (sizes.v + o * (1 + height)), logits[o * L]
        for k in range(0, whole, L):
            store(dv + k, load(buffers.top + k) * dlogit)
        for k in range(whole, 1 + height):
            dv[k] = buffers.top[k] * dlogit
    v_backward = buffers.turned + sizes.v_backward
    multiply_one(tiles, logits, L, v_backward, O, height, buffers.dy)
    if sizes.readout_dropout:
        mask = readout_mask(space, 0)
        for j in range(height):
            buffers.dy[j] *= mask[j]


@kernel
def predict(tiles, space, job, block):
    """Write the logits of every step, or of the last one, and measure them, as the job says."""
    sizes = space.sizes
    L = width(space.buffers.top)
    rows, lanes = rows_of(space, block.T)
    for first in range(0, rows, L):
        n = min(L, rows - first)
        load_top(space, block.T, first, n, lanes)
        logits = logits_of(tiles, space, first, n, lanes)
        if exists(job.out):
            store_logits(sizes, block, first, n, logits, job.out)
        if exists(job.sums):
            measure(space, job, block, first, n, logits)


@kernel
def store_logits(sizes, block, first, n, logits, out):
    """Write the logits of n rows to ``out`` (rows or N, O)."""
    L = width(logits)
    for v in range(n):
        t, b = (first + v) // sizes.samples, (first + v) % sizes.samples
        at = block.ids.samples[b]
        if sizes.sequences:
            at = block.ids.rows[b] + t
        if b < block.n and (not sizes.sequences or t < block.ids.lengths[b]):
            for o in range(sizes.O):
                out[at * sizes.O + o] = logits[o * L + v]


@kernel
def measure(space, job, block, first, n, logits):
    """Add losses, hits and weights of n rows to those of each sample."""
    sizes, buffers = space.sizes, space.buffers
    load_targets(space, job, block, first, n)
    compare(job, logits, buffers, 0.0, width(logits), sizes.O)
    for v in range(n):
        sums, weight = job.sums + block.ids.places[(first + v) % sizes.samples], buffers.weights[v]
        if weight > 0.0:
            sums[0] += float(weight) * buffers.losses[v]
            sums[job.n] += float(weight) * buffers.hits[v]
            sums[2 * job.n] += float(weight)
