"""Inputs of a block of samples into lanes, their gradients back, and masks of dropout."""

from __future__ import annotations

from numba import int64, uint64

from ...jit import kernel
from ...simd import gather_transpose, size, width
from .matrices import clear
from .vectors import copy, scale
from .workspace import run_buffers, run_sizes


@kernel
def load_from_below(shape, space, r, T, reverse, z, step, masked):
    """Outputs of the layer whose first run is r, times the factors of dropout, into z."""
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
    """Where each lane reads ``x[:, q : q + L]``: in its sequence or, beyond its end, the longest.

    So no more is read than there is.  What stands behind an end has no effect: states are kept,
    and gradients are zero.
    """
    starts, lengths, chosen = block.ids + lanes, block.ids + 2 * lanes, block.ids + 4 * lanes
    for v in range(lanes):
        chosen[v] = starts[v] if q + L <= lengths[v] * I else starts[block.longest]


@kernel
def load_ends(block, lanes, q, n, I, x, z, rows):
    """``x[:, q : q + n]`` of the lanes whose sequence ends there, as far as it goes."""
    starts, lengths = block.ids + lanes, block.ids + 2 * lanes
    for v in range(lanes):
        left = lengths[v] * I - q
        if 0 < left <= n:
            for k in range(left):
                z[rows[k] + v] = x[starts[v] * I + (q + k)]


@kernel
def load_inputs(shape, block, data, I, z, step):
    """Rows of x into the first I rows of each z_t, as columns."""
    _, lanes = size(shape)
    starts, chosen, rows = block.ids + lanes, block.ids + 4 * lanes, block.ids + 5 * lanes
    n, whole, x = block.T * I, block.shortest * I, data.x
    L = width(z)
    row, i = 0, 0  # where x[:, q] goes: counted, for a division costs more than the row
    for q in range(0, n, L):
        here = min(L, n - q)
        for k in range(here):
            rows[k] = row
            row, i = row + lanes, i + 1
            if i == I:
                row, i = row + (step - I * lanes), 0
        if here == L:
            ended = q + L > whole
            if ended:
                choose_rows(block, lanes, q, L, I)
            samples = chosen if ended else starts
            for v in range(0, lanes, L):
                gather_transpose(x + q, samples + v, I, z + v, rows)
            if ended:
                load_ends(block, lanes, q, L, I, x, z, rows)
        else:
            for k in range(here):
                clear(z + rows[k], lanes)
            load_ends(block, lanes, q, here, I, x, z, rows)


@kernel
def token(block, data, lanes, v, t):
    """The token of lane v at step t, and behind the end of its sequence the first of all."""
    inside = t < block.ids[2 * lanes + v]
    return data.tokens[block.ids[lanes + v] + t if inside else 0]


@kernel
def load_embedded(shape, block, data, embedding, E, z, step):
    """Rows of the embedding (vocabulary, E) into z, as columns."""
    _, lanes = size(shape)
    chosen, rows = block.ids + 4 * lanes, block.ids + 5 * lanes
    L = width(z)
    whole = E - E % L
    for k in range(L):
        rows[k] = k * lanes
    for t in range(block.T):
        z_t = z + t * step
        for v in range(lanes):
            chosen[v] = token(block, data, lanes, v, t)
        for q in range(0, whole, L):
            for v in range(0, lanes, L):
                gather_transpose(embedding + q, chosen + v, E, z_t + (q * lanes + v), rows)
        for q in range(whole, E):
            for v in range(lanes):
                z_t[q * lanes + v] = embedding[chosen[v] * E + q]


@kernel
def places_as_rows(shape, block, first, T):
    """The first row of each lane in an array (n, T, ...) of a batch's samples from `first` on."""
    _, lanes = size(shape)
    rows = block.ids + 4 * lanes
    for v in range(lanes):
        rows[v] = (block.ids[3 * lanes + v] - first) * T
    return rows


@kernel
def store_input_gradient(shape, block, rows, dx, dx_step, I, out):
    """``out`` (rows, I) from each step's dx (I, lanes); `rows` gives a lane's first."""
    _, lanes = size(shape)
    for t in range(block.T):
        for v in range(block.n):
            if t < block.ids[2 * lanes + v]:
                row = out + (rows[v] + t) * I
                for q in range(I):
                    row[q] = dx[t * dx_step + (q * lanes + v)]


LAYER = 0x32D0_5E2F_9A37_1C6B  #: between the seeds of two layers, an arbitrary odd number


@kernel
def draw(seed, counter):
    """A number in [0, 1) that belongs to (seed, counter): SplitMix64 (Steele et al., 2014).

    It depends on nothing else, so the masks are the same however samples are spread over lanes
    and threads.
    """
    x = uint64(seed) + uint64(counter) * uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
    x = x ^ (x >> uint64(31))
    return float(int64(x >> uint64(11))) * 2.0**-53


@kernel
def draw_mask(shape, block, T, height, layer, probability, seed, mask):
    """Inverted dropout: factors 0 or 1 / (1 - probability) for a layer's output (T, height)."""
    _, lanes = size(shape)
    kept, seed = 1.0 / (1.0 - probability), seed + layer * LAYER
    for v in range(lanes):
        first = block.ids[3 * lanes + v] * T
        for t in range(block.T):
            for j in range(height):
                number = draw(seed, (first + t) * height + j)
                mask[(t * height + j) * lanes + v] = 0.0 if number < probability else kept
