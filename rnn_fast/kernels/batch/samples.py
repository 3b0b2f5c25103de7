"""From the user's arrays to lanes and back: samples, inputs, targets, states, masks of dropout."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...jit import kernel
from ...simd import size


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
