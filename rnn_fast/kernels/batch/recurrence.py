"""The batch driver: samples in lanes, the time loop forward and backward.

A block of samples, one a lane, runs all T steps of each layer forward, then backward in chunks of
steps.  Each chunk's weight gradients follow while its data is in cache.  Weights are broadcast as
scalars; the state needs no padding.  Only one block's states are in memory at a time.

A run, one layer in one direction, counts its own steps s: the first step of the reverse run is the
last step t of the block.  So direction exists only where runs exchange data: `load_from_below`,
`outputs_of`, and the steps of dy.  A sequence that ends before the longest of its block keeps its
state from there on, in both directions.
"""

from __future__ import annotations

from ...cells import kernels as cells
from ...jit import kernel
from ...layout.batch_records import SUMS
from ...simd import exists, size
from ..noise import ROWS, RUN, add_input_noise, add_lane_noise, deviation, lane_keys
from .inputs import draw_mask, load_embedded, load_from_below, load_inputs, prefetch_inputs
from .matrices import clear, multiply, run_gradients, run_products
from .states import add_activity, add_final_gradients, freeze, hold, load_states, state_gradients
from .vectors import add, copy, scale
from .workspace import run_buffers, run_sizes


@kernel
def step_of(shape, space, run, buffers, s):
    """The cell's `Step` at step s of a run."""
    _, lanes = size(shape)
    n, h_at = space.sizes.H * lanes, (run.I + 1) * lanes
    z, c = buffers.z + s * run.step, buffers.c + s * n
    return cells.Step(
        n,
        buffers.a + s * run.keep,
        z + h_at,
        z + (run.step + h_at),
        c,
        c + n,
        space.weights + run.vectors,
        space.sizes.options,
    )


@kernel
def run_forward(cell, shape, space, job, block, seed, r, zero):
    """h_t = cell(W z_t, h_{t-1}) for all t; `zero` says that h_0 is zero."""
    sizes, run, buffers = space.sizes, run_sizes(space, r), run_buffers(space, r)
    T, shortest, std = block.T, block.shortest, deviation(job, ROWS)
    noisy = std > 0.0
    if noisy:
        lane_keys(shape, block, seed + (r + 1) * RUN)
    for s in range(T):
        z, step = buffers.z + s * run.step, step_of(shape, space, run, buffers, s)
        first = zero and s == 0
        table, i = sizes.products, run.product
        run_products(shape, space.weights, table, i, run.n_products, z, step.a, first)
        if cells.has_late_row(cell):
            cells.reset(cell, step)
            i += run.n_products
            run_products(shape, space.weights, table, i, run.n_late_products, z, step.a, first)
        if noisy:
            t = T - 1 - s if run.reverse else s
            add_lane_noise(shape, block, t * sizes.H, sizes.H, std, step.a)
        cells.forward(cell, step)
        t = T - 1 - s if run.reverse else s
        if t >= shortest:
            freeze(shape, space.buffers, t, step.h, step.h_prev, sizes.H)
            if sizes.states > 1:
                freeze(shape, space.buffers, t, step.c, step.c_prev, sizes.H)


@kernel
def forward(cell, shape, space, job, block, state, seed):
    """All layers, from the inputs and the initial state."""
    if state.is_set:
        load_states(shape, space, block, state)
    for r in range(space.sizes.layers * space.sizes.directions):
        load_run(shape, space, job, block, seed, r)
        run_forward(cell, shape, space, job, block, seed, r, not state.is_set)
    if space.sizes.readout_dropout:
        draw_readout_mask(shape, space, job, block, seed)


@kernel
def draw_readout_mask(shape, space, job, block, seed):
    """Dropout of the top layer: of every step, or of the last alone."""
    sizes = space.sizes
    top, height = (sizes.layers - 1) * sizes.directions, sizes.directions * sizes.H
    steps, mask = block.T if sizes.sequences else 1, run_buffers(space, top).mask
    draw_mask(shape, block, steps, sizes.T, height, top, job.dropout[1], seed, mask)


@kernel
def load_run(shape, space, job, block, seed, r):
    """Inputs x_t of a run: the samples, the run beside it, or the layer below with dropout."""
    _, lanes = size(shape)
    sizes, run, z = space.sizes, run_sizes(space, r), run_buffers(space, r).z
    below = (r // sizes.directions - 1) * sizes.directions
    if below >= 0:
        if sizes.dropout and not run.reverse:
            height, mask = sizes.directions * sizes.H, run_buffers(space, below).mask
            draw_mask(shape, block, block.T, sizes.T, height, below, job.dropout[0], seed, mask)
        load_from_below(shape, space, below, block.T, run.reverse, z, run.step, sizes.dropout)
    elif run.reverse:
        forward_z = run_buffers(space, 0).z
        for s in range(block.T):
            x = forward_z + (block.T - 1 - s) * run.step
            copy(z + s * run.step, x, run.I * lanes)
    elif sizes.embedding:
        table = job.parameters + sizes.embedding_at
        load_embedded(shape, block, job.tokens, table, run.I, z, run.step)
    else:
        load_inputs(shape, block, job.x, run.I, z, run.step)
    if below < 0 and not run.reverse:
        add_input_noise(shape, job, block, seed, run.I, z, run.step)


# ----------------------------------------------------------------------------------- backward


@kernel
def step_backward(cell, shape, space, run, step, t, da, shortest, further):
    """da_t from dh_t and, if `further`, dh_{t-1} except for its part from outside the run."""
    sizes, buffers = space.sizes, space.buffers
    n = step.n
    grads = cells.Gradients(da, buffers.dh, buffers.dc, buffers.grads + run.sums, buffers.dlate)
    ended = t >= shortest
    if ended:
        hold(shape, buffers, t, buffers.dh, buffers.held, sizes.H)
        if sizes.states > 1:
            hold(shape, buffers, t, buffers.dc, buffers.held + n, sizes.H)
    cells.backward(cell, step, grads)
    if cells.has_late_row(cell):  # a_t = ... + Whh (late row)
        K, w = sizes.n_late, space.weights + run.w_late
        multiply(shape, w, K, sizes.H, K, da + sizes.late_at, buffers.dlate, 0)
        cells.reset_backward(cell, step, grads)
    if ended:
        if sizes.carries:
            add(buffers.dh, buffers.held, n)
        else:
            copy(buffers.dh, buffers.held, n)
        if sizes.states > 1:
            add(buffers.dc, buffers.held + n, n)
    if further:  # a_t = ... + Whh h_{t-1}
        K, w = run.n_to_h, space.weights + run.w_h
        multiply(shape, w, K, sizes.H, K, da + run.to_h, buffers.dh, sizes.carries or ended)


@kernel
def run_backward(
    cell, shape, space, job, r, block, dy, every, dx, to_state, to_input, partial, ahead
):
    """Back through time: gradients of W and, where asked for, of the initial state and the input.

    dy : gradient with respect to the run's outputs at every step, or at the last.
    dx : gradient with respect to the inputs; the reverse run adds to the other run's.
    partial : doubles, to which the penalty of the states is added.
    ahead : place in the order of the samples whose inputs will be read next.
    """
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    run, states = run_sizes(space, r), run_buffers(space, r)
    n, last, due = sizes.H * lanes, block.T, 0
    meets = every or exists(job.activity)  # one question a step where neither is
    if every:
        clear(buffers.dh, n)
    else:
        copy(buffers.dh, dy, n)
    if sizes.states > 1:
        clear(buffers.dc, n)
    if exists(job.dfinal):
        add_final_gradients(shape, space, block, r, job.dfinal)
    while last > 0:
        first = max(0, last - sizes.chunk)
        for s in range(last - 1, first - 1, -1):
            t = block.T - 1 - s if run.reverse else s
            due += lanes  # the next block's samples, spread over this block's steps
            while due >= block.T:
                due -= block.T
                prefetch_inputs(job, block, ahead, sizes.T, run.I)
                ahead += 1
            if meets:
                if every:
                    add(buffers.dh, dy + t * sizes.dy_step, n)
                if exists(job.activity):
                    h = states.z + ((s + 1) * run.step + (run.I + 1) * lanes)
                    value = add_activity(shape, buffers, job.activity, t, h, sizes.H)
                    partial[SUMS.penalty] += value
            da, step = buffers.da + (s - first) * sizes.slot, step_of(shape, space, run, states, s)
            further = s > 0 or to_state
            step_backward(cell, shape, space, run, step, t, da, block.shortest, further)
            if to_input:  # a_t = Wxh x_t + ...
                K, dx_t, w = run.n_to_x, dx + t * sizes.dy_step, space.weights + run.w_x
                multiply(shape, w, K, run.I, K, da + run.to_x, dx_t, run.reverse)
        z, a = states.z + first * run.step, states.a + first * run.keep
        run_gradients(shape, space, run, z, a, last - first)
        last = first


@kernel
def backward(cell, shape, space, job, block, to_state, to_input, partial, ahead):
    """All layers, from `read_out`'s dy; returns the pointer to dx.

    ahead : place in the order of the samples that come after the block.
    """
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    n, D = sizes.H * lanes, sizes.directions
    dy, dx = buffers.dy, buffers.dx
    for back in range(sizes.layers):
        layer = sizes.layers - 1 - back
        every = sizes.sequences != 0 or back > 0
        if back > 0 and sizes.dropout:
            mask = run_buffers(space, layer * D).mask
            for t in range(block.T):
                scale(dy + t * sizes.dy_step, mask + t * D * n, D * n)
        down = layer > 0 or to_input
        for d in range(D):
            r = layer * D + d
            dy_d, next_x = dy + d * n, job.n if r > 0 or sizes.embedding else ahead
            run_backward(
                cell, shape, space, job, r, block, dy_d, every, dx, to_state, down, partial, next_x
            )
            if to_state:
                state_gradients(shape, space, block, r, job.dstate)
        dy, dx = dx, dy
    return dy
