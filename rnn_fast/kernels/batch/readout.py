"""States to logits, loss, and back."""

from __future__ import annotations

from numba import int64

from ...jit import kernel
from ...losses.kernels import loss_and_gradient
from ...simd import size
from .matrices import multiply, weight_gradients
from .vectors import copy
from .workspace import run_buffers, run_sizes


@kernel
def outputs_of(shape, space, T, t, slot):
    """[1; y_t] (1 + D H, lanes): the top layer's outputs of step t, or its final ones."""
    _, lanes = size(shape)
    sizes = space.sizes
    r = (sizes.layers - 1) * sizes.directions
    run, own = run_sizes(space, r), run_buffers(space, r)
    one_and_h = own.z + ((t + 1) * run.step + run.I * lanes)
    if sizes.directions == 1:
        return one_and_h
    n = sizes.H * lanes
    top = space.buffers.top + slot * (2 * n + lanes)
    there = T - 1 - t if sizes.sequences else T - 1
    copy(top + lanes, one_and_h + lanes, n)
    h = run_buffers(space, r + 1).z + ((there + 1) * run.step + (run.I + 1) * lanes)
    copy(top + (lanes + n), h, n)
    return top


@kernel
def logits_of(shape, space, top, slot):
    """logits = V [1; y]."""
    sizes, buffers = space.sizes, space.buffers
    logits = buffers.logits + slot * sizes.logit_step
    K = 1 + sizes.directions * sizes.H
    multiply(shape, space.weights + sizes.v_forward, K, sizes.O, K, top, logits, 0)
    return logits


@kernel
def store_logits(shape, space, block, out):
    """Logits of every step, or of the last, to ``out`` (rows or N, O)."""
    _, lanes = size(shape)
    sizes = space.sizes
    for i in range(block.T if sizes.sequences else 1):
        t = i if sizes.sequences else block.T - 1
        logits = logits_of(shape, space, outputs_of(shape, space, block.T, t, int64(0)), int64(0))
        for v in range(block.n):
            at = block.ids[v]
            if sizes.sequences:
                at = block.ids[lanes + v] + t
            if not sizes.sequences or t < block.ids[2 * lanes + v]:
                for o in range(sizes.O):
                    out[at * sizes.O + o] = logits[o * lanes + v]


@kernel
def read_out(shape, space, block, data, loss, factor, result):
    """Losses, and their gradients by V and by all outputs."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    n = block.T if sizes.sequences else 1
    height = sizes.directions * sizes.H
    run = run_sizes(space, (sizes.layers - 1) * sizes.directions)
    top_step = run.step if sizes.directions == 1 else (1 + height) * lanes
    for i in range((n + sizes.read - 1) // sizes.read):
        first = i * sizes.read
        here = min(sizes.read, n - first)
        for slot in range(here):
            t = first + slot if sizes.sequences else block.T - 1
            logits = logits_of(shape, space, outputs_of(shape, space, block.T, t, slot), slot)
            load_targets(shape, sizes, buffers, block, data, t)
            loss_and_gradient(shape, loss, logits, buffers, factor, sizes.O)
            total, hits, weights = 0.0, 0.0, 0.0
            for v in range(block.n):
                weight = float(buffers.weights[v])
                if weight > 0.0:
                    total += weight * buffers.losses[v]
                    hits += weight * buffers.hits[v]
                    weights += weight
            result[0] += total
            result[1] += hits
            result[2] += weights
            # logits = V [1; y]
            dy = buffers.dy + (first + slot) * sizes.dy_step
            v = space.weights + sizes.v_backward
            multiply(shape, v, sizes.O, height, sizes.O, logits, dy, 0)
        start = first if sizes.sequences else block.T - 1
        top = buffers.top
        if sizes.directions == 1:
            top = outputs_of(shape, space, block.T, start, int64(0))
        dv, panel = buffers.grads + sizes.dv, buffers.panel
        logits, logit_step = buffers.logits, sizes.logit_step
        if sizes.narrow:
            weight_gradients(
                shape, dv, 1 + height, sizes.O, top, top_step, logits, logit_step, here, panel
            )
        else:
            weight_gradients(
                shape, dv, sizes.O, 1 + height, logits, logit_step, top, top_step, here, panel
            )


@kernel
def load_targets(shape, sizes, buffers, block, data, t):
    """Targets (Y, lanes) and weights of step t or, of whole sequences, of those that end here."""
    _, lanes = size(shape)
    for v in range(lanes):
        sample, length = block.ids[v], block.ids[2 * lanes + v]
        if sizes.sequences:
            at, counts = block.ids[lanes + v] + t, t < length
        else:
            at = sample
            counts = 0 < length and data.lengths[sample] <= block.window + sizes.T
        counts = counts and v < block.n
        weight = 0.0
        if counts:
            weight = float(data.weights[at]) if data.weighted else 1.0
        buffers.weights[v] = weight
        for o in range(sizes.Y):
            buffers.targets[o * lanes + v] = data.y[at * sizes.Y + o] if counts else 0.0


@kernel
def total_weight(sizes, data, n, window):
    """Sum of the weights of all that is compared with a target in a window of a batch."""
    total = 0.0
    for i in range(n):
        sample = data.order[i]
        length = min(data.lengths[sample] - window, sizes.T)
        if length > 0:
            if sizes.sequences and data.weighted:
                weights = data.weights + (data.starts[sample] + window)
                for t in range(length):
                    total += weights[t]
            elif sizes.sequences:
                total += length
            elif data.lengths[sample] <= window + sizes.T:
                total += float(data.weights[sample]) if data.weighted else 1.0
    return total
