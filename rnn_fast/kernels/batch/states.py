"""Initial and final states of a block of samples, and states of sequences that have ended."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import int64

from ...jit import kernel
from ...simd import fill, load, size, store, where_less, width
from .matrices import clear
from .vectors import add
from .workspace import run_buffers, run_sizes


class State(NamedTuple):
    """Where initial states come from: ``source[row * stride:]``, (states, runs, H) each."""

    given: Any  # 0: they are zero
    source: Any
    row: Any  # of each lane
    stride: Any


@kernel
def load_states(shape, space, block, state):
    """Initial states of all runs."""
    _, lanes = size(shape)
    sizes = space.sizes
    n_runs = sizes.layers * sizes.directions
    for r in range(n_runs):
        run, own = run_sizes(space, r), run_buffers(space, r)
        h_0 = own.z + (run.I + 1) * lanes
        h, c = state.source + r * sizes.H, state.source + (n_runs + r) * sizes.H
        load_state(shape, block, h, state.stride, state.row, sizes.H, h_0)
        if sizes.states > 1:
            load_state(shape, block, c, state.stride, state.row, sizes.H, own.c)


@kernel
def clear_states(shape, space):
    """Initial states of zero, where others have been since `prepare`."""
    _, lanes = size(shape)
    sizes = space.sizes
    for r in range(sizes.layers * sizes.directions):
        run, own = run_sizes(space, r), run_buffers(space, r)
        clear(own.z + (run.I + 1) * lanes, sizes.H * lanes)
        if sizes.states > 1:
            clear(own.c, sizes.H * lanes)


@kernel
def store_states(shape, space, block, row, out):
    """States after the last step of all runs; ``row`` gives a lane's row of `out`."""
    _, lanes = size(shape)
    sizes = space.sizes
    H, n_runs = sizes.H, sizes.layers * sizes.directions
    stride = sizes.states * n_runs * H
    for r in range(n_runs):
        run, own = run_sizes(space, r), run_buffers(space, r)
        h = own.z + (block.T * run.step + (run.I + 1) * lanes)
        store_state(shape, block, h, H, row, stride, out + r * H)
        if sizes.states > 1:
            c = own.c + block.T * H * lanes
            store_state(shape, block, c, H, row, stride, out + (n_runs + r) * H)


@kernel
def state_gradients(shape, space, block, r, out):
    """Gradients by the initial state of run r: to `out`, if there is any, and to their sums."""
    _, lanes = size(shape)
    sizes, buffers, run = space.sizes, space.buffers, run_sizes(space, r)
    n_runs = sizes.layers * sizes.directions
    stride, row = sizes.states * n_runs * sizes.H, block.ids
    for k in range(sizes.states):
        grads = buffers.dc if k else buffers.dh
        if sizes.learned_state:
            sums = buffers.grads + (run.state_sums + k * n_runs * sizes.H * lanes)
            add(sums, grads, sizes.H * lanes)
        else:
            to = out + (k * n_runs + r) * sizes.H
            store_state(shape, block, grads, sizes.H, row, stride, to)


@kernel
def state_before(shape, sizes, given, window):
    """Where the states of a batch before a window are."""
    _, lanes = size(shape)
    stride = sizes.states * sizes.layers * sizes.directions * sizes.H
    if window > 0:
        return State(True, given.carried, given.ids + 3 * lanes, stride)
    if sizes.learned_state and not given.initial:
        return State(True, given.parameters + sizes.state_at, given.ids, int64(0))
    return State(given.initial, given.state, given.ids, stride)


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
