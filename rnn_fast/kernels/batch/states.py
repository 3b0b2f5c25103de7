"""Initial and final states of a block of samples, and states of sequences that have ended."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import int64

from ...jit import kernel
from ...layout.stages import ACTIVITY, Wanted
from ...simd import (
    absolute,
    exists,
    fill,
    load,
    size,
    store,
    total,
    view,
    where_less,
    width,
    with_sign,
)
from .inputs import store_rows
from .matrices import clear
from .samples import lane_ids
from .vectors import add
from .workspace import run_buffers, run_sizes

N_WANTED = len(Wanted._fields)


class State(NamedTuple):
    """Initial states: ``source[row * stride:]``, (states, runs, H) each."""

    is_set: Any  # or else they are zero
    source: Any
    rows: Any  # of each lane
    stride: Any


@kernel
def load_states(shape, space, block, state):
    """Read the initial states of all runs."""
    _, lanes = size(shape)
    sizes = space.sizes
    n_runs = sizes.layers * sizes.directions
    for r in range(n_runs):
        run, own = run_sizes(space, r), run_buffers(space, r)
        h_0 = own.z + (run.I + 1) * lanes
        h, c = state.source + r * sizes.H, state.source + (n_runs + r) * sizes.H
        load_state(shape, block, h, state.stride, state.rows, sizes.H, h_0)
        if sizes.states > 1:
            load_state(shape, block, c, state.stride, state.rows, sizes.H, own.c)


@kernel
def clear_states(shape, space):
    """Zero the initial states, where others have been since `prepare`."""
    _, lanes = size(shape)
    sizes = space.sizes
    for r in range(sizes.layers * sizes.directions):
        run, own = run_sizes(space, r), run_buffers(space, r)
        clear(own.z + (run.I + 1) * lanes, sizes.H * lanes)
        if sizes.states > 1:
            clear(own.c, sizes.H * lanes)


@kernel
def store_states(shape, space, block, rows, out):
    """Write the states of all runs after the last step; ``rows`` holds each lane's row of `out`."""
    _, lanes = size(shape)
    sizes = space.sizes
    H, n_runs = sizes.H, sizes.layers * sizes.directions
    stride = sizes.states * n_runs * H
    for r in range(n_runs):
        run, own = run_sizes(space, r), run_buffers(space, r)
        h = own.z + (block.T * run.step + (run.I + 1) * lanes)
        store_state(shape, block, h, H, rows, stride, out + r * H)
        if sizes.states > 1:
            c = own.c + block.T * H * lanes
            store_state(shape, block, c, H, rows, stride, out + (n_runs + r) * H)


@kernel
def state_gradients(shape, space, block, r, out):
    """Write the gradient with respect to the initial state of run r to `out`, or to its sums."""
    _, lanes = size(shape)
    sizes, buffers, run = space.sizes, space.buffers, run_sizes(space, r)
    n_runs = sizes.layers * sizes.directions
    stride, rows = sizes.states * n_runs * sizes.H, block.ids.samples
    for k in range(sizes.states):
        grads = buffers.dc if k else buffers.dh
        if sizes.learned_state:
            sums = buffers.grads + (run.state_sums + k * n_runs * sizes.H * lanes)
            add(sums, grads, sizes.H * lanes)
        else:
            to = out + (k * n_runs + r) * sizes.H
            store_state(shape, block, grads, sizes.H, rows, stride, to)


@kernel
def add_final_gradients(shape, space, block, r, dfinal):
    """Add the gradient with respect to the final state of run r to dh, and dc."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    n_runs = sizes.layers * sizes.directions
    stride = sizes.states * n_runs * sizes.H
    for k in range(sizes.states):
        grads = buffers.dc if k else buffers.dh
        for v in range(block.n):
            source = dfinal + (block.ids.samples[v] * stride + (k * n_runs + r) * sizes.H)
            for j in range(sizes.H):
                grads[j * lanes + v] += source[j]


@kernel
def add_activity(shape, buffers, coefficients, t, h, H):
    """Add the gradient of the penalty of h (H, lanes) at step t to dh; return the penalty.

    Each lane's share of the penalty is in ``buffers.weights``; a sequence that has ended has none.
    """
    _, lanes = size(shape)
    l1, l2 = coefficients[ACTIVITY.l1], coefficients[ACTIVITY.l2]
    L, dh = width(h), buffers.dh
    values = fill(h, 0.0)
    for v in range(0, lanes, L):
        share = load(buffers.weights + v)
        share = where_less(fill(h, t), load(buffers.lengths + v), share, 0.0)
        for j in range(H):
            at = j * lanes + v
            x = load(h + at)
            sign = where_less(0.0, absolute(x), with_sign(fill(h, l1), x), 0.0)
            pull = x * l2
            values = values + (absolute(x) * l1 + pull * x * 0.5) * share
            store(dh + at, load(dh + at) + (sign + pull) * share)
    return float(total(values))


@kernel
def store_hidden(shape, space, job, block):
    """Write the states after each step that the job wants."""
    _, lanes = size(shape)
    sizes = space.sizes
    for i in range(job.n_wanted):
        wanted = view(Wanted, job.wanted + i * N_WANTED)
        run, own = run_sizes(space, wanted.run), run_buffers(space, wanted.run)
        step = sizes.H * lanes
        source = own.c + step
        if wanted.state == 0:
            step = run.step
            source = own.z + (step + (run.I + 1) * lanes)
        if run.reverse:  # the state after its last step is that of step 0
            source, step = source + (block.T - 1) * step, -step
        rows, out = block.ids.rows, job.hidden + wanted.column
        panel = space.buffers.panel
        store_rows(shape, panel, block, rows, source, step, sizes.H, out, job.hidden_step)


@kernel
def state_before(lanes, sizes, job, window):
    """Find the states of a batch before a window: carried on, learned, given or zero."""
    ids = lane_ids(lanes, job.ids)
    stride = sizes.states * sizes.layers * sizes.directions * sizes.H
    if window > 0:
        return State(True, job.carry, ids.places, stride)
    if sizes.learned_state and not exists(job.state):
        return State(True, job.parameters + sizes.state_at, ids.samples, int64(0))
    return State(exists(job.state), job.state, ids.samples, stride)


@kernel
def load_state(shape, block, source, stride, rows, H, to):
    """``to`` (H, lanes) = ``source[row * stride:]`` of each lane's row."""
    _, lanes = size(shape)
    for v in range(lanes):
        state = source + rows[v] * stride
        for j in range(H):
            to[j * lanes + v] = state[j]


@kernel
def store_state(shape, block, source, H, rows, stride, out):
    """Write ``source`` (H, lanes) to each lane's row of `out`: the reverse of `load_state`."""
    _, lanes = size(shape)
    for v in range(block.n):
        state = out + rows[v] * stride
        for j in range(H):
            state[j] = source[j * lanes + v]


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
    """Put aside the gradients of sequences that have ended before step t."""
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
