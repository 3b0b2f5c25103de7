"""Inputs of a run as rows, their gradients back, and dropout."""

from __future__ import annotations

from numba import int64

from ...jit import kernel
from ..batch.inputs import LAYER
from ..batch.matrices import clear
from ..counter import draw, mixed
from ..noise import INPUTS, RUN, add_row_noise, deviation
from .workspace import buffers_of_run, run_of


@kernel
def load_run(space, job, block, seed, r):
    """Inputs x_t of a run: the samples, the run beside it, or the layer below with dropout."""
    sizes, run, own = space.sizes, run_of(space, r), buffers_of_run(space, r)
    below = (r // sizes.directions - 1) * sizes.directions
    S, T = sizes.samples, block.T
    if below >= 0 and sizes.dropout and not run.reverse:
        draw_masks(space, block, T, below, job.dropout[0], seed)
    for s in range(T):
        t = T - 1 - s if run.reverse else s
        for b in range(S):
            to = own.x + (s * S + b) * run.x_step
            if below >= 0:
                from_below(space, below, t, T - 1 - t, b, to)
            elif t < block.ids.lengths[b]:
                row = block.ids.rows[b] + t
                if sizes.embedding:
                    load_row(job.parameters + sizes.embedding_at, job.tokens[row], run.I, to)
                else:
                    load_row(job.x, row, run.I, to)
            else:
                clear(to, run.I)
    if below < 0 and deviation(job, INPUTS) > 0.0:
        add_input_noise(space, job, block, seed, r)


@kernel
def add_input_noise(space, job, block, seed, r):
    """Add noise to the inputs of a run of the lowest layer, the same in both directions."""
    run, own, S = run_of(space, r), buffers_of_run(space, r), space.sizes.samples
    std = deviation(job, INPUTS)
    for b in range(S):
        key = int64(mixed(seed - RUN, block.ids.places[b]))
        for s in range(block.T):
            t = block.T - 1 - s if run.reverse else s
            add_row_noise(key, t * run.I, run.I, std, own.x + (s * S + b) * run.x_step)


@kernel
def load_row(x, row, I, to):
    """Copy row `row` of x (rows, I)."""
    for i in range(I):
        to[i] = x[row * I + i]


@kernel
def from_below(space, below, t, back, b, to):
    """Copy the outputs at step t of the layer whose first run is `below`, times the mask."""
    sizes, H = space.sizes, space.sizes.H
    S, height = sizes.samples, sizes.directions * sizes.H
    for d in range(sizes.directions):
        s = back if d else t
        h = buffers_of_run(space, below + d).h + ((s + 1) * S + b) * sizes.h_step
        for j in range(H):
            to[d * H + j] = h[j]
    if sizes.dropout:
        mask = buffers_of_run(space, below).mask + (t * S + b) * height
        for j in range(height):
            to[j] *= mask[j]


@kernel
def draw_masks(space, block, steps, layer, probability, seed):
    """Inverted dropout of a layer's output, the same factors as of the batch driver."""
    sizes, mask = space.sizes, buffers_of_run(space, layer).mask
    S, height = sizes.samples, sizes.directions * sizes.H
    kept, seed = 1.0 / (1.0 - probability), seed + layer * LAYER
    for b in range(S):
        first = block.ids.places[b] * sizes.T
        for t in range(steps):
            for j in range(height):
                number = draw(seed, (first + t) * height + j)
                mask[(t * S + b) * height + j] = 0.0 if number < probability else kept


@kernel
def store_rows(space, block, rows, source, step, n, out, out_step):
    """Write n numbers of each sample and step to a row of `out`, whose rows are `out_step` apart.

    `rows` holds each sample's row at step 0; rows of `source` are `step` apart.
    """
    S = space.sizes.samples
    for b in range(block.n):
        for t in range(block.ids.lengths[b]):
            from_, to = source + (t * S + b) * step, out + (rows[b] + t) * out_step
            for i in range(n):
                to[i] = from_[i]
