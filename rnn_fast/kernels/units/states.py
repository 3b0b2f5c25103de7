"""Initial and final states of the samples of a batch, and their gradients."""

from __future__ import annotations

from ...jit import kernel
from ...layout.stages import ACTIVITY, Wanted
from ...simd import exists, view
from ..batch.states import N_WANTED, state_before
from ..batch.vectors import copy
from .workspace import buffers_of_run, clear_states, run_of


@kernel
def load_states(space, state):
    """Read the initial states of all runs: ``state.source[row * stride:]``, (states, runs, H)."""
    sizes = space.sizes
    H, n_runs = sizes.H, sizes.layers * sizes.directions
    for r in range(n_runs):
        own = buffers_of_run(space, r)
        for b in range(sizes.samples):
            source = state.source + (state.rows[b] * state.stride + r * H)
            for j in range(H):
                own.h[b * sizes.h_step + j] = source[j]
            if sizes.states > 1:
                source = source + n_runs * H
                for j in range(H):
                    own.c[b * sizes.h_step + j] = source[j]


@kernel
def load_learned(space):
    """Take the initial states from the parameters, which are in the driver's layout."""
    sizes = space.sizes
    Hp, n_runs = sizes.Hp, sizes.layers * sizes.directions
    for r in range(n_runs):
        own, source = buffers_of_run(space, r), space.buffers.w + run_of(space, r).state
        for b in range(sizes.samples):
            copy(own.h + b * sizes.h_step, source, Hp)
            if sizes.states > 1:
                copy(own.c + b * sizes.h_step, source + n_runs * Hp, Hp)


@kernel
def begin(space, job, window):
    """Load the states before a window; return whether they are zero."""
    sizes = space.sizes
    if window == 0 and sizes.learned_state and not exists(job.state):
        load_learned(space)
        return False
    state = state_before(sizes.samples, sizes, job, window)
    if state.is_set:
        load_states(space, state)
    elif exists(job.carry):  # others have been there since `prepare`
        clear_states(space)
    return not state.is_set


@kernel
def store_states(space, block, T, rows, out):
    """Write the states of all runs after T steps; ``rows`` holds each sample's row of out."""
    sizes = space.sizes
    H, n_runs = sizes.H, sizes.layers * sizes.directions
    stride, last = sizes.states * n_runs * H, T * sizes.samples
    for r in range(n_runs):
        own = buffers_of_run(space, r)
        for b in range(block.n):
            to = out + (rows[b] * stride + r * H)
            for j in range(H):
                to[j] = own.h[(last + b) * sizes.h_step + j]
            if sizes.states > 1:
                to = to + n_runs * H
                for j in range(H):
                    to[j] = own.c[(last + b) * sizes.h_step + j]


@kernel
def add_final_gradients(space, block, r, dfinal):
    """Add the gradient with respect to the final state of run r to dh, and dc."""
    sizes, buffers = space.sizes, space.buffers
    H, n_runs = sizes.H, sizes.layers * sizes.directions
    stride = sizes.states * n_runs * H
    for k in range(sizes.states):
        grads = buffers.dc if k else buffers.dh
        for b in range(block.n):
            source = dfinal + (block.ids.samples[b] * stride + (k * n_runs + r) * H)
            for j in range(H):
                grads[b * sizes.Hp + j] += source[j]


@kernel
def add_activity(space, coefficients, block, t, h, share):
    """Add the gradient of the penalty of h (samples, Hp) at step t to dh; return the penalty."""
    sizes, dh = space.sizes, space.buffers.dh
    l1, l2, value = coefficients[ACTIVITY.l1], coefficients[ACTIVITY.l2], 0.0
    for b in range(block.n):
        if t < block.ids.lengths[b]:
            for j in range(sizes.H):
                x = float(h[b * sizes.h_step + j])
                sign = l1 if x > 0.0 else -l1 if x < 0.0 else 0.0
                value += (l1 * abs(x) + 0.5 * l2 * x * x) * share
                dh[b * sizes.Hp + j] += (sign + l2 * x) * share
    return value


@kernel
def store_hidden(space, job, block):
    """Write the states after each step that the job wants."""
    sizes = space.sizes
    for i in range(job.n_wanted):
        wanted = view(Wanted, job.wanted + i * N_WANTED)
        own = buffers_of_run(space, wanted.run)
        states = own.c if wanted.state else own.h
        out = job.hidden + wanted.column
        for b in range(block.n):
            for t in range(block.ids.lengths[b]):
                s = block.T - 1 - t if run_of(space, wanted.run).reverse else t
                source = states + ((s + 1) * sizes.samples + b) * sizes.h_step
                to = out + (block.ids.rows[b] + t) * job.hidden_step
                for j in range(sizes.H):
                    to[j] = source[j]


@kernel
def state_gradients(space, run, block, r, out):
    """Write the gradient with respect to the initial state of run r to `out`, or to its sums."""
    sizes, buffers = space.sizes, space.buffers
    H, Hp, n_runs = sizes.H, sizes.Hp, sizes.layers * sizes.directions
    stride = sizes.states * n_runs * H
    for k in range(sizes.states):
        grads = buffers.dc if k else buffers.dh
        for b in range(block.n):
            if sizes.learned_state:
                to = buffers.dw + (run.state + k * n_runs * Hp)
                for j in range(H):
                    to[j] += grads[b * Hp + j]
            else:
                to = out + (block.ids.samples[b] * stride + (k * n_runs + r) * H)
                for j in range(H):
                    to[j] = grads[b * Hp + j]


@kernel
def carry_on(space, T):
    """Let the states after T steps be the initial states."""
    sizes = space.sizes
    n = sizes.samples * sizes.h_step
    for r in range(sizes.layers * sizes.directions):
        own = buffers_of_run(space, r)
        copy(own.h, own.h + T * n, n)
        if sizes.states > 1:
            copy(own.c, own.c + T * n, n)
