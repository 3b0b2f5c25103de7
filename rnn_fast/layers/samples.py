"""From the user's arrays to lanes and back: samples, inputs, targets, states, masks of dropout."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import int64, uint64

from .._jit import kernel
from ..simd import fill, gather_transpose, load, size, store, where_less, width
from .matrices import clear


class Data(NamedTuple):
    """Pointers to the user's arrays; see `layout.LaneJob`."""

    x: Any
    tokens: Any
    starts: Any
    lengths: Any
    y: Any
    weights: Any
    weighted: Any  # whether there are weights
    order: Any


class Block(NamedTuple):
    """A block of samples, one a lane, and the window of steps that is run.

    ``ids`` (6, lanes) holds each lane's sample, its first row, its steps in the window, its place
    in the batch, and room for what a step chooses and for where it goes.
    """

    ids: Any
    n: Any  # lanes in use
    window: Any  # steps before it
    T: Any  # steps of the longest
    shortest: Any
    longest: Any  # a lane with T steps


@kernel
def at_place(data, first):
    """The data with the order from place `first` on."""
    return Data(
        data.x,
        data.tokens,
        data.starts,
        data.lengths,
        data.y,
        data.weights,
        data.weighted,
        data.order + first,
    )


@kernel
def choose_samples(shape, buffers, ids, data, first, n, window, steps):
    """The `n` samples from place `first` of the order; lanes left over repeat the last."""
    _, lanes = size(shape)
    T, shortest, longest = 0, steps, 0
    for v in range(lanes):
        place = first + min(v, n - 1)
        sample = data.order[place]
        length = max(0, min(data.lengths[sample] - window, steps))
        ids[v] = sample
        ids[lanes + v] = data.starts[sample] + window
        ids[2 * lanes + v] = length
        ids[3 * lanes + v] = place
        buffers.lengths[v] = length
        if length > T:
            T, longest = length, v
        shortest = min(shortest, length)
    return Block(ids, n, window, T, shortest, longest)


# -------------------------------------------------------------------------------------- input


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
def add_embedding_gradient(sizes, data, first, n, window, dx, gradient):
    """Add the gradient by the input of samples (n, T, E) to the rows of their tokens, in order."""
    E = sizes.embedding
    for i in range(n):
        sample = data.order[first + i]
        length = min(data.lengths[sample] - window, sizes.T)
        tokens = data.tokens + (data.starts[sample] + window)
        for t in range(length):
            row, own = gradient + tokens[t] * E, dx + (i * sizes.T + t) * E
            for q in range(E):
                row[q] += own[q]


@kernel
def update_embedding(sizes, data, n, window, parameters, gradients, rate, alone):
    """A step of descent on the rows of the tokens seen, if they `alone` are updated.

    A row's gradient is cleared behind it, so that a token seen twice counts once, and the next
    batch starts from zeros.
    """
    E = sizes.embedding
    for i in range(n):
        sample = data.order[i]
        length = min(data.lengths[sample] - window, sizes.T)
        tokens = data.tokens + (data.starts[sample] + window)
        for t in range(length):
            row = sizes.embedding_at + tokens[t] * E
            for q in range(row, row + E):
                if alone:
                    parameters[q] -= rate * gradients[q]
                gradients[q] = 0.0


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


# ------------------------------------------------------------------------------------ targets


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


# -------------------------------------------------------------------------------------- state


@kernel
def load_state(shape, block, source, stride, row, H, to):
    """``to`` (H, lanes) = ``source[row * stride:]`` of each lane; `row` gives a lane's."""
    _, lanes = size(shape)
    for v in range(lanes):
        own = source + row[v] * stride
        for j in range(H):
            to[j * lanes + v] = own[j]


@kernel
def store_state(shape, block, source, H, row, stride, out):
    """The reverse of `load_state`."""
    _, lanes = size(shape)
    for v in range(block.n):
        own = out + row[v] * stride
        for j in range(H):
            own[j] = source[j * lanes + v]


@kernel
def freeze(shape, buffers, t, new, old, H):
    """new (H, lanes) = old where a sequence has ended before step t."""
    _, lanes = size(shape)
    L = width(new)
    for v in range(0, lanes, L):
        length = load(buffers.lengths + v)
        now = fill(new, t)
        for j in range(H):
            at = j * lanes + v
            store(new + at, where_less(now, length, load(new + at), load(old + at)))


@kernel
def hold(shape, buffers, t, grads, held, H):
    """Put aside the gradients of sequences that have ended before step t: they pass it by."""
    _, lanes = size(shape)
    L = width(grads)
    for v in range(0, lanes, L):
        length = load(buffers.lengths + v)
        now = fill(grads, t)
        for j in range(H):
            at = j * lanes + v
            all_ = load(grads + at)
            store(held + at, where_less(now, length, 0.0, all_))
            store(grads + at, where_less(now, length, all_, 0.0))


@kernel
def add(p, q, n):
    """p += q, n numbers."""
    for i in range(0, n, width(p)):
        store(p + i, load(p + i) + load(q + i))


@kernel
def copy(p, q, n):
    """p = q, n numbers."""
    for i in range(0, n, width(p)):
        store(p + i, load(q + i))


@kernel
def scale(p, q, n):
    """p *= q, n numbers."""
    for i in range(0, n, width(p)):
        store(p + i, load(p + i) * load(q + i))


# ------------------------------------------------------------------------------------ dropout


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
