"""Samples in lanes: the driver for mini-batches.

A block of samples, one a lane, runs all T steps of each layer forward, then backward in chunks of
steps, each chunk's weight gradients right behind it while its data is in cache.  Weights are
broadcast as scalars; the state needs no padding.  Only one block's states are held at a time.

A run, which is a layer in one direction, has its own time: the reverse run's first step is the
last of the block.  So direction exists only where runs exchange data: `load_from_below`,
`outputs_of`, and the steps of dy.  A sequence that ends before the longest of its block stays as
it is from there on, in both directions.
"""

from __future__ import annotations

from ...cells import kernels
from ...cells.kernels.types import Gradients, Step
from ...jit import kernel
from ...simd import size
from .inputs import draw_mask, load_embedded, load_from_below, load_inputs
from .matrices import clear, multiply, run_gradients, run_products
from .states import freeze, hold, load_states, state_gradients
from .vectors import add, copy, scale
from .workspace import run_buffers, run_sizes


@kernel
def run_forward(cell, shape, space, r, T, shortest, zero):
    """h_t = cell(W z_t, h_{t-1}) for all t; `zero` says that h_0 is zero."""
    _, lanes = size(shape)
    sizes, run, own = space.sizes, run_sizes(space, r), run_buffers(space, r)
    n, h_at = sizes.H * lanes, (run.I + 1) * lanes
    for s in range(T):
        z, a = own.z + s * run.step, own.a + s * run.keep
        c = own.c + s * n
        step = Step(n, a, z + h_at, z + (run.step + h_at), c, c + n, space.weights + run.beside)
        first = zero and s == 0
        table, i = sizes.products, run.product
        run_products(shape, space.weights, table, i, run.n_products, z, a, first)
        if kernels.resets_first(cell):
            kernels.reset(cell, step)
            i += run.n_products
            run_products(shape, space.weights, table, i, run.n_late, z, a, first)
        kernels.forward(cell, step)
        t = T - 1 - s if run.reverse else s
        if t >= shortest:
            freeze(shape, space.buffers, t, step.h, step.h_prev, sizes.H)
            if sizes.states > 1:
                freeze(shape, space.buffers, t, step.c, step.c_prev, sizes.H)


@kernel
def forward(cell, shape, space, block, data, parameters, state, probability, seed):
    """All layers, from the inputs and the initial state."""
    _, lanes = size(shape)
    sizes = space.sizes
    if state.given:
        load_states(shape, space, block, state)
    for r in range(sizes.layers * sizes.directions):
        run, own = run_sizes(space, r), run_buffers(space, r)
        below = (r // sizes.directions - 1) * sizes.directions
        if below >= 0:
            if sizes.dropout and not run.reverse:
                height, mask = sizes.directions * sizes.H, run_buffers(space, below).mask
                draw_mask(shape, block, sizes.T, height, below, probability, seed, mask)
            masked = sizes.dropout
            load_from_below(shape, space, below, block.T, run.reverse, own.z, run.step, masked)
        elif run.reverse:
            other = run_buffers(space, 0).z
            for s in range(block.T):
                x = other + (block.T - 1 - s) * run.step
                copy(own.z + s * run.step, x, run.I * lanes)
        elif sizes.embedding:
            table = parameters + sizes.embedding_at
            load_embedded(shape, block, data, table, run.I, own.z, run.step)
        else:
            load_inputs(shape, block, data, run.I, own.z, run.step)
        run_forward(cell, shape, space, r, block.T, block.shortest, not state.given)


# ----------------------------------------------------------------------------------- backward


@kernel
def step_backward(cell, shape, space, run, own, s, t, da, shortest, further):
    """da_t from dh_t, and from it dh_{t-1} but for what comes from outside, if `further`."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    n, h_at = sizes.H * lanes, (run.I + 1) * lanes
    z, c = own.z + s * run.step, own.c + s * n
    a = own.a + s * run.keep
    step = Step(n, a, z + h_at, z + (run.step + h_at), c, c + n, space.weights + run.beside)
    grads = Gradients(da, buffers.dh, buffers.dc, buffers.grads + run.sums, buffers.dr)
    ended = t >= shortest
    if ended:
        hold(shape, buffers, t, buffers.dh, buffers.held, sizes.H)
        if sizes.states > 1:
            hold(shape, buffers, t, buffers.dc, buffers.held + n, sizes.H)
    kernels.backward(cell, step, grads)
    if kernels.resets_first(cell):
        multiply(
            shape, space.weights + run.w_r, sizes.H, sizes.H, sizes.H, da + 2 * n, buffers.dr, 0
        )
        kernels.reset_backward(cell, step, grads)
    if ended:
        if sizes.passes:
            add(buffers.dh, buffers.held, n)
        else:
            copy(buffers.dh, buffers.held, n)
        if sizes.states > 1:
            add(buffers.dc, buffers.held + n, n)
    if further:  # a_t = ... + Whh h_{t-1}
        K, passed = run.n_to_h, sizes.passes or ended
        w = space.weights + run.w_h
        multiply(shape, w, K, sizes.H, K, da + run.to_h, buffers.dh, passed)


@kernel
def run_backward(cell, shape, space, r, T, shortest, dy, every, dx, wanted):
    """Back through time: gradients of W, of the initial state and, where `wanted`, of the input.

    dy : gradient by the run's outputs of every step, or of the last.
    dx : by the inputs of every step; the reverse run adds to what the other has left there.
    wanted : 1 for that of the initial state, 2 for the input's, 3 for both.
    """
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    run, own = run_sizes(space, r), run_buffers(space, r)
    n = sizes.H * lanes
    if every:
        clear(buffers.dh, n)
    else:
        copy(buffers.dh, dy, n)
    if sizes.states > 1:
        clear(buffers.dc, n)
    last = T
    while last > 0:
        first = max(0, last - sizes.chunk)
        for s in range(last - 1, first - 1, -1):
            t = T - 1 - s if run.reverse else s
            if every:
                add(buffers.dh, dy + t * sizes.dy_step, n)
            da = buffers.da + (s - first) * sizes.slot
            further = s > 0 or wanted % 2 == 1
            step_backward(cell, shape, space, run, own, s, t, da, shortest, further)
            if wanted >= 2:  # a_t = Wxh x_t + ...
                K, dx_t = run.n_to_x, dx + t * sizes.dy_step
                w = space.weights + run.w_x
                multiply(shape, w, K, run.I, K, da, dx_t, run.reverse)
        z, a = own.z + first * run.step, own.a + first * run.keep
        run_gradients(
            shape,
            buffers.grads,
            sizes.rank_ks,
            run.rank_k,
            run.n_rank_ks,
            buffers.da,
            sizes.slot,
            z,
            run.step,
            a,
            run.keep,
            last - first,
            buffers.panel,
        )
        last = first


@kernel
def backward(cell, shape, space, block, to_state, to_input, dstate):
    """All layers, from `read_out`'s dy; gives the pointer to dx."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    n, D = sizes.H * lanes, sizes.directions
    dy, dx = buffers.dy, buffers.dx
    for back in range(sizes.layers):
        layer = sizes.layers - 1 - back
        every = sizes.sequences or back > 0
        if back > 0 and sizes.dropout:
            mask = run_buffers(space, layer * D).mask
            for t in range(block.T):
                scale(dy + t * sizes.dy_step, mask + t * D * n, D * n)
        wanted = 2 if layer > 0 or to_input else 0
        for d in range(D):
            r = layer * D + d
            run_backward(
                cell,
                shape,
                space,
                r,
                block.T,
                block.shortest,
                dy + d * n,
                every,
                dx,
                wanted + to_state,
            )
            if to_state:
                state_gradients(shape, space, block, r, dstate)
        dy, dx = dx, dy
    return dy
