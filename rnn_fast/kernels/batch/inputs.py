"""Inputs of a block of samples into lanes, their gradients back, and masks of dropout."""

from __future__ import annotations

from ...jit import kernel
from ...simd import gather_transpose, load, prefetch, size, store, transpose, width
from ..counter import draw
from .matrices import clear
from .vectors import copy, scale
from .workspace import run_buffers, run_sizes


@kernel
def load_from_below(shape, space, r, T, reverse, z, step, masked):
    """Copy outputs of the layer whose first run is r, times the factors of dropout, into z."""
    _, lanes = size(shape)
    sizes = space.sizes
    n = sizes.H * lanes
    mask = run_buffers(space, r).mask
    for d in range(sizes.directions):
        run, own = run_sizes(space, r + d), run_buffers(space, r + d)
        for s in range(T):
            t = T - 1 - s if reverse else s
            there = T - 1 - t if d else t
            to = z + (s * step + d * n)
            copy(to, own.z + ((there + 1) * run.step + (run.I + 1) * lanes), n)
            if masked:
                scale(to, mask + (t * sizes.directions + d) * n, n)


@kernel
def choose_rows(block, lanes, q, L, I):
    """Choose the row from which each lane reads ``x[:, q : q + L]``.

    A lane whose sequence has ended reads the longest, so that no more is read than there is.
    Numbers after an end have no effect: states are kept, and gradients are zero.
    """
    rows, lengths, chosen = block.ids.rows, block.ids.lengths, block.ids.chosen
    for v in range(lanes):
        chosen[v] = rows[v] if q + L <= lengths[v] * I else rows[block.longest]


@kernel
def load_ends(block, lanes, q, n, I, x, z):
    """Read ``x[:, q : q + n]`` of the lanes whose sequence ends there, up to its end."""
    rows, lengths, targets = block.ids.rows, block.ids.lengths, block.ids.targets
    for v in range(lanes):
        left = lengths[v] * I - q
        if 0 < left <= n:
            for k in range(left):
                z[targets[k] + v] = x[rows[v] * I + (q + k)]


@kernel
def load_inputs(shape, block, x, I, z, step):
    """Turn rows of x into columns, the first I rows of each z_t."""
    _, lanes = size(shape)
    targets, n, whole = block.ids.targets, block.T * I, block.shortest * I
    L = width(z)
    row, i = 0, 0  # of x[:, q] in z: counted, since a division costs more than the row
    for q in range(0, n, L):
        here = min(L, n - q)
        for k in range(here):
            targets[k] = row
            row, i = row + lanes, i + 1
            if i == I:
                row, i = row + (step - I * lanes), 0
        if here == L:
            ended = q + L > whole
            if ended:
                choose_rows(block, lanes, q, L, I)
            rows = block.ids.chosen if ended else block.ids.rows
            for v in range(0, lanes, L):
                gather_transpose(x + q, rows + v, I, z + v, targets)
            if ended:
                load_ends(block, lanes, q, L, I, x, z)
        else:
            for k in range(here):
                clear(z + targets[k], lanes)
            load_ends(block, lanes, q, here, I, x, z)


@kernel
def prefetch_inputs(job, block, place, steps, I):
    """Ask memory for the inputs of the sample at a place of the order, in the block's window.

    A block's samples are asked for one after another, over the steps of the backward pass before:
    all at once would take as long as to read them.  It saves 10 % of a GRU of 2 units whose data
    does not fit the caches (I 3, B 100).
    """
    if place < job.n:
        sample = job.order[place]
        x = job.x + (job.starts[sample] + block.window) * I
        for k in range(0, min(job.lengths[sample] - block.window, steps) * I, width(x)):
            prefetch(x + k)


@kernel
def token(block, tokens, v, t):
    """Return the token of lane v at step t; after the end of its sequence the very first one."""
    return tokens[block.ids.rows[v] + t if t < block.ids.lengths[v] else 0]


@kernel
def load_embedded(shape, block, tokens, embedding, E, z, step):
    """Turn rows of the embedding (vocabulary, E) into columns of each z_t."""
    _, lanes = size(shape)
    chosen, targets = block.ids.chosen, block.ids.targets
    L = width(z)
    whole = E - E % L
    for k in range(L):
        targets[k] = k * lanes
    for t in range(block.T):
        z_t = z + t * step
        for v in range(lanes):
            chosen[v] = token(block, tokens, v, t)
        for q in range(0, whole, L):
            for v in range(0, lanes, L):
                gather_transpose(embedding + q, chosen + v, E, z_t + (q * lanes + v), targets)
        for q in range(whole, E):
            for v in range(lanes):
                z_t[q * lanes + v] = embedding[chosen[v] * E + q]


@kernel
def places_as_rows(shape, block, first, T):
    """Find each lane's first row in an array (n, T, ...) of a batch's samples from `first` on."""
    _, lanes = size(shape)
    rows = block.ids.chosen
    for v in range(lanes):
        rows[v] = (block.ids.places[v] - first) * T
    return rows


@kernel
def store_rows(shape, panel, block, rows, source, step, n, out, out_step):
    """Write n numbers of each lane and step to a row of `out`, whose rows are `out_step` apart.

    Parameters
    ----------
    panel : pointer
        Room for a square of a register's lanes.
    rows : pointer
        Row of each lane at step 0.
    source, step : pointer, int
        Numbers (n, lanes) of step 0, and how far those of the next step are.
    """
    _, lanes = size(shape)
    lengths, L = block.ids.lengths, width(source)
    whole = n - n % L
    for t in range(block.T):
        source_t = source + t * step
        for v in range(0, block.n, L):
            for q in range(0, whole, L):
                transpose(source_t + (q * lanes + v), lanes, panel, L)
                for i in range(min(L, block.n - v)):
                    if t < lengths[v + i]:
                        store(out + ((rows[v + i] + t) * out_step + q), load(panel + i * L))
        for v in range(block.n):
            if t < lengths[v]:
                row = out + (rows[v] + t) * out_step
                for q in range(whole, n):
                    row[q] = source_t[q * lanes + v]


@kernel
def clear_ends(shape, block, z, step, n):
    """Zero the n numbers of each step in empty lanes, and where a sequence has ended."""
    _, lanes = size(shape)
    for v in range(lanes):
        end = block.ids.lengths[v] if v < block.n else 0
        for t in range(end, block.T):
            for q in range(n):
                z[t * step + (q * lanes + v)] = 0.0


LAYER = 0x32D0_5E2F_9A37_1C6B  #: between the seeds of two layers, an arbitrary odd number


@kernel
def draw_mask(shape, block, steps, T, height, layer, probability, seed, mask):
    """Inverted dropout: factors 0 or 1 / (1 - probability) for a layer's output (steps, height).

    A sample has numbers for T steps.
    """
    _, lanes = size(shape)
    kept, seed = 1.0 / (1.0 - probability), seed + layer * LAYER
    for v in range(lanes):
        first = block.ids.places[v] * T
        for t in range(steps):
            for j in range(height):
                number = draw(seed, (first + t) * height + j)
                mask[(t * height + j) * lanes + v] = 0.0 if number < probability else kept
