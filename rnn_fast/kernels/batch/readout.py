"""States to logits and loss, and the gradients back."""

from __future__ import annotations

from numba import int64

from ...jit import kernel
from ...layout.batch_records import SUMS
from ...layout.stages import GIVEN
from ...simd import exists, size
from ..loss import compare
from .inputs import clear_ends, load_inputs
from .matrices import multiply, weight_gradients
from .vectors import add, copy, scale
from .workspace import run_buffers, run_sizes


@kernel
def readout_mask(shape, space, t):
    """Factors (D H, lanes) of dropout on the outputs of step t, or on the final ones."""
    _, lanes = size(shape)
    sizes = space.sizes
    mask = run_buffers(space, (sizes.layers - 1) * sizes.directions).mask
    return mask + (t if sizes.sequences else 0) * sizes.directions * sizes.H * lanes


@kernel
def outputs_of(shape, space, T, t, slot):
    """[1; y_t] (1 + D H, lanes): outputs of the top layer at step t, or the final ones."""
    _, lanes = size(shape)
    sizes = space.sizes
    r = (sizes.layers - 1) * sizes.directions
    run, own = run_sizes(space, r), run_buffers(space, r)
    one_and_h = own.z + ((t + 1) * run.step + run.I * lanes)
    if not sizes.joined:
        return one_and_h
    n = sizes.H * lanes
    top = space.buffers.top + slot * (sizes.directions * n + lanes)
    copy(top + lanes, one_and_h + lanes, n)
    if sizes.directions > 1:
        there = T - 1 - t if sizes.sequences else T - 1
        h = run_buffers(space, r + 1).z + ((there + 1) * run.step + (run.I + 1) * lanes)
        copy(top + (lanes + n), h, n)
    if sizes.readout_dropout:
        scale(top + lanes, readout_mask(shape, space, t), sizes.directions * n)
    return top


@kernel
def logits_of(shape, space, top, t, slot):
    """logits = V [1; y], and the first inputs of step t with a skip."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    logits = buffers.logits + slot * sizes.logit_step
    K = 1 + sizes.directions * sizes.H
    multiply(shape, space.weights + sizes.v_forward, K, sizes.O, K, top, logits, 0)
    if sizes.skip:
        add(logits, run_buffers(space, 0).z + t * run_sizes(space, 0).step, sizes.O * lanes)
    return logits


@kernel
def predict(shape, space, job, block):
    """Write the logits of every step, or of the last one, and measure them, as the job says."""
    sizes = space.sizes
    for i in range(block.T if sizes.sequences else 1):
        t = i if sizes.sequences else block.T - 1
        top = outputs_of(shape, space, block.T, t, int64(0))
        logits = logits_of(shape, space, top, t, int64(0))
        if exists(job.out):
            store_logits(shape, sizes, block, t, logits, job.out)
        if exists(job.sums):
            measure(shape, space, job, block, t, logits)


@kernel
def store_logits(shape, sizes, block, t, logits, out):
    """Write the logits of step t to ``out`` (rows or N, O)."""
    _, lanes = size(shape)
    for v in range(block.n):
        at = block.ids.samples[v]
        if sizes.sequences:
            at = block.ids.rows[v] + t
        if not sizes.sequences or t < block.ids.lengths[v]:
            for o in range(sizes.O):
                out[at * sizes.O + o] = logits[o * lanes + v]


@kernel
def measure(shape, space, job, block, t, logits):
    """Add losses, hits and weights of step t to those of each sample."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    load_targets(shape, sizes, buffers, job, block, t)
    compare(job, logits, buffers, 0.0, lanes, sizes.O)
    sums = job.sums + block.ids.places[0]  # places of a block lie side by side
    losses, hits, weights = sums, sums + job.n, sums + 2 * job.n
    for v in range(block.n):
        weight = float(buffers.weights[v])
        counts = weight > 0.0  # or the outputs may be anything
        losses[v] += weight * buffers.losses[v] if counts else 0.0
        hits[v] += weight * buffers.hits[v] if counts else 0.0
        weights[v] += weight if counts else 0.0


@kernel
def read_out(shape, space, job, block, factor, result):
    """Losses of a block, and their gradients with respect to V and to all outputs."""
    _, lanes = size(shape)
    sizes = space.sizes
    if sizes.O == 0:
        load_output_gradients(shape, space, job, block)
        return
    n = block.T if sizes.sequences else 1
    height = sizes.directions * sizes.H
    run = run_sizes(space, (sizes.layers - 1) * sizes.directions)
    top_step = (1 + height) * lanes if sizes.joined else run.step
    for i in range((n + sizes.read - 1) // sizes.read):
        first = i * sizes.read
        steps = min(sizes.read, n - first)
        for slot in range(steps):
            read_step(shape, space, job, block, factor, result, first, slot)
        top = space.buffers.top
        if not sizes.joined:
            start = first if sizes.sequences else block.T - 1
            top = outputs_of(shape, space, block.T, start, int64(0))
        readout_gradient(shape, space, top, top_step, steps)


@kernel
def load_output_gradients(shape, space, job, block):
    """Read the gradient with respect to the outputs of the top layer, without a head."""
    sizes, dy = space.sizes, space.buffers.dy
    load_inputs(shape, block, job.y, sizes.Y, dy, sizes.dy_step)
    clear_ends(shape, block, dy, sizes.dy_step, sizes.Y)


@kernel
def read_step(shape, space, job, block, factor, result, first, slot):
    """Loss of one step, and its gradient with respect to the outputs of that step."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    t = first + slot if sizes.sequences else block.T - 1
    logits = logits_of(shape, space, outputs_of(shape, space, block.T, t, slot), t, slot)
    load_targets(shape, sizes, buffers, job, block, t)
    compare(job, logits, buffers, factor, lanes, sizes.O)
    total, hits, weights = 0.0, 0.0, 0.0
    for v in range(block.n):
        weight = float(buffers.weights[v])
        if weight > 0.0:
            total += weight * buffers.losses[v]
            hits += weight * buffers.hits[v]
            weights += weight
    result[SUMS.loss] += total
    result[SUMS.hits] += hits
    result[SUMS.weight] += weights
    # logits = V [1; y]
    height = sizes.directions * sizes.H
    dy, v = buffers.dy + (first + slot) * sizes.dy_step, space.weights + sizes.v_backward
    multiply(shape, v, sizes.O, height, sizes.O, logits, dy, 0)
    if sizes.readout_dropout:
        scale(dy, readout_mask(shape, space, t), height * lanes)


@kernel
def readout_gradient(shape, space, top, top_step, steps):
    """Gradient of V, or of V^T where that is narrow, over some steps."""
    sizes, buffers = space.sizes, space.buffers
    height, O = 1 + sizes.directions * sizes.H, sizes.O
    dv, panel = buffers.grads + sizes.dv, buffers.panel
    logits, logit_step = buffers.logits, sizes.logit_step
    if sizes.narrow:
        weight_gradients(shape, dv, height, O, top, top_step, logits, logit_step, steps, panel)
    else:
        weight_gradients(shape, dv, O, height, logits, logit_step, top, top_step, steps, panel)


@kernel
def load_targets(shape, sizes, buffers, job, block, t):
    """Targets (Y, lanes) and weights of step t or, of whole sequences, of those that end here."""
    _, lanes = size(shape)
    if sizes.sequences and t < block.shortest:
        load_step(shape, sizes, buffers, job, block, t)
    else:
        for v in range(lanes):
            load_target(sizes, buffers, job, block, v, t, v < block.n, v, lanes)


@kernel
def load_step(shape, sizes, buffers, job, block, t):
    """Targets and weights of step t, which no sequence of the block lacks.

    Without a question for each lane a GRU of 2 units took 0.68 of the time.
    """
    _, lanes = size(shape)
    rows, n, Y = block.ids.rows, block.n, sizes.Y
    for o in range(Y):
        targets, y = buffers.targets + o * lanes, job.y + (t * Y + o)
        for v in range(n):
            targets[v] = y[rows[v] * Y]
        for v in range(n, lanes):
            targets[v] = 0.0
    if exists(job.weights):
        for v in range(n):
            buffers.weights[v] = job.weights[rows[v] + t]
    else:
        for v in range(n):
            buffers.weights[v] = 1.0
    for v in range(n, lanes):
        buffers.weights[v] = 0.0


@kernel
def load_target(sizes, buffers, job, block, b, t, counts, v, lanes):
    """Target and weight of step t of the block's sample b to lane v, 0 if it does not count."""
    sample, length = block.ids.samples[b], block.ids.lengths[b]
    if sizes.sequences:
        at, counts = block.ids.rows[b] + t, counts and t < length
    else:
        at = sample
        counts = counts and 0 < length and job.lengths[sample] <= block.window + sizes.T
    weight = 0.0
    if counts:
        weight = float(job.weights[at]) if exists(job.weights) else 1.0
    buffers.weights[v] = weight
    for o in range(sizes.Y):
        buffers.targets[o * lanes + v] = job.y[at * sizes.Y + o] if counts else 0.0


@kernel
def weight_of(sizes, job, order, n, window):
    """Weight by which the losses of a window of a batch are divided."""
    if exists(job.given):
        return job.given[GIVEN.divisor]
    return total_weight(sizes, job, order, n, window)


@kernel
def add_given(job):
    """Add the loss, hits and weight that the backward stage was given to those of the epoch."""
    job.result[SUMS.loss] += job.given[GIVEN.loss]
    job.result[SUMS.hits] += job.given[GIVEN.hits]
    job.result[SUMS.weight] += job.given[GIVEN.weight]


@kernel
def total_weight(sizes, job, order, n, window):
    """Sum the weights of everything that is compared with a target in a window of a batch."""
    total, weighted = 0.0, exists(job.weights)
    for i in range(n):
        sample = order[i]
        length = min(job.lengths[sample] - window, sizes.T)
        if length > 0:
            if sizes.sequences and weighted:
                weights = job.weights + (job.starts[sample] + window)
                for t in range(length):
                    total += weights[t]
            elif sizes.sequences:
                total += length
            elif job.lengths[sample] <= window + sizes.T:
                total += float(job.weights[sample]) if weighted else 1.0
    return total
