"""The samples of a block, one in each lane, and the window of steps that is run."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...jit import kernel
from ...layout.batch_records import LaneIds


class Block(NamedTuple):
    """A block of samples and a window of steps."""

    ids: Any  # LaneIds
    n: Any  # lanes in use
    window: Any  # steps before it
    T: Any  # steps of the longest sample in the window
    shortest: Any  # steps of the shortest
    longest: Any  # a lane with T steps


@kernel
def lane_ids(n, ids):
    """`LaneIds` of n lanes in the integers (6, n) at `ids`."""
    return LaneIds(ids, ids + n, ids + 2 * n, ids + 3 * n, ids + 4 * n, ids + 5 * n)


@kernel
def choose_samples(lanes, buffers, job, order, first, n, window, steps):
    """Fill a block with the `n` samples from place `first` of the order; repeat the last."""
    ids = lane_ids(lanes, job.ids)
    T, shortest, longest = 0, steps, 0
    for v in range(lanes):
        place = first + min(v, n - 1)
        sample = order[place]
        length = max(0, min(job.lengths[sample] - window, steps))
        ids.samples[v] = sample
        ids.rows[v] = job.starts[sample] + window
        ids.lengths[v] = length
        ids.places[v] = place
        buffers.lengths[v] = length
        if length > T:
            T, longest = length, v
        shortest = min(shortest, length)
    return Block(ids, n, window, T, shortest, longest)


@kernel
def keyed_by_sample(block):
    """Return a block whose places are its samples: the keys of noise in predictions.

    A sample then has the same noise whatever the lengths of others.
    """
    ids = block.ids
    keys = LaneIds(ids.samples, ids.rows, ids.lengths, ids.samples, ids.chosen, ids.targets)
    return Block(keys, block.n, block.window, block.T, block.shortest, block.longest)
