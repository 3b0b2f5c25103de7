"""The units driver: units in lanes, the time loop forward and backward.

The samples of a batch are the rows of one block.  Products with x and gradients of weights take all
rows of many steps at once; only the product with h_{t-1} and the cell go step by step.  A sequence
that ends before the longest keeps its state from there on, in both directions.  Names are those of
the batch driver, `kernels.batch.recurrence`.
"""

from __future__ import annotations

from numba import int64

from ...cells import kernels as cells
from ...jit import kernel
from ...layout.batch_records import SUMS
from ...simd import exists, width
from ..batch.matrices import clear
from ..batch.vectors import add, copy
from ..counter import mixed
from ..noise import ROWS, RUN, add_unit_noise, deviation
from .gradients import run_gradients
from .inputs import draw_masks, load_run
from .products import (
    early_products,
    many_backs,
    step_backs,
    step_products,
)
from .states import add_activity, add_final_gradients, state_gradients
from .workspace import buffers_of_run, run_of


@kernel(inline=True)
def step_of(space, run, own, row):
    """The cell's `Step` of one row of a run."""
    sizes = space.sizes
    h_prev, c_prev = own.h + row * sizes.h_step, own.c + row * sizes.h_step
    further = sizes.samples * sizes.h_step
    return cells.Step(
        sizes.Hp,
        own.a + row * sizes.a_step,
        h_prev,
        h_prev + further,
        c_prev,
        c_prev + further,
        space.buffers.w + run.vectors,
        sizes.options,
    )


@kernel
def run_forward(cell, tiles, space, job, block, seed, r, zero):
    """h_t = cell(W z_t, h_{t-1}) for all t; `zero` says that h_0 is zero."""
    sizes, run, own = space.sizes, run_of(space, r), buffers_of_run(space, r)
    S, a_step, std = sizes.samples, sizes.a_step, deviation(job, ROWS)
    early_products(tiles, space, run.product, run.n_early, block.T * S, own.x, run.x_step, own.a)
    for s in range(block.T):
        t = block.T - 1 - s if run.reverse else s
        a, h = own.a + s * S * a_step, own.h + s * S * sizes.h_step
        i = run.product + run.n_early
        if not (zero and s == 0):
            step_products(tiles, space, i, run.n_products, h, sizes.h_step, a, s % 2 == 1)
        if cells.has_late_row(cell):
            for b in range(S):
                cells.reset(cell, step_of(space, run, own, s * S + b))
            if not (zero and s == 0):
                i += run.n_products
                step_products(tiles, space, i, run.n_late, a, a_step, a, s % 2 == 1)
        for b in range(S):
            step = step_of(space, run, own, s * S + b)
            if t < block.ids.lengths[b]:
                if std > 0.0:
                    key = int64(mixed(seed + (r + 1) * RUN, block.ids.places[b]))
                    add_unit_noise(key, t * sizes.H, sizes.Hp, std, step.a)
                cells.forward(cell, step)
                for j in range(sizes.H, sizes.Hp):  # no gradient may come from padding
                    step.h[j] = 0.0
            else:
                copy(step.h, step.h_prev, sizes.Hp)
                if sizes.states > 1:
                    copy(step.c, step.c_prev, sizes.Hp)


@kernel
def forward(cell, tiles, space, job, block, zero, seed):
    """All layers, from the inputs and the initial states; `zero` says that these are zero."""
    for r in range(space.sizes.layers * space.sizes.directions):
        load_run(space, job, block, seed, r)
        run_forward(cell, tiles, space, job, block, seed, r, zero)
    sizes = space.sizes
    if sizes.readout_dropout:
        steps, top = block.T if sizes.sequences else 1, (sizes.layers - 1) * sizes.directions
        draw_masks(space, block, steps, top, job.dropout[1], seed)


# ----------------------------------------------------------------------------------- backward


@kernel
def step_backward(cell, tiles, space, run, own, block, s, t, da, further):
    """da_t from dh_t and, if `further`, dh_{t-1} except for its part from outside the run."""
    sizes, buffers = space.sizes, space.buffers
    S, Hp, da_step = sizes.samples, sizes.Hp, sizes.da_step
    sums = buffers.dw + run.vectors
    for b in range(S):
        at = b * Hp
        dlate = buffers.dlate + at
        grads = cells.Gradients(da + b * da_step, buffers.dh + at, buffers.dc + at, sums, dlate)
        if t < block.ids.lengths[b]:
            cells.backward(cell, step_of(space, run, own, s * S + b), grads)
        else:
            clear(grads.da, sizes.n_grads * Hp)
    back = run.back
    if cells.has_late_row(cell):  # a_t = ... + Whh (late row)
        clear(buffers.dlate, S * Hp)
        step_backs(
            tiles, space, back + run.n_to_h, run.n_to_late, da, buffers.dlate, Hp, s % 2 == 1
        )
        for b in range(S):
            if t < block.ids.lengths[b]:
                at = b * Hp
                dlate = buffers.dlate + at
                grads = cells.Gradients(
                    da + b * da_step, buffers.dh + at, buffers.dc + at, sums, dlate
                )
                cells.reset_backward(cell, step_of(space, run, own, s * S + b), grads)
    if further:  # a_t = ... + Whh h_{t-1}
        if not sizes.carries:
            for b in range(S):
                if t < block.ids.lengths[b]:
                    clear(buffers.dh + b * Hp, Hp)
        step_backs(tiles, space, back, run.n_to_h, da, buffers.dh, Hp, s % 2 == 1)


@kernel
def add_units(dh, dy, H):
    """dh += dy, of H units; the padding behind them stays zero."""
    L = width(dh)
    whole = H - H % L
    add(dh, dy, whole)
    for j in range(whole, H):
        dh[j] += dy[j]


@kernel
def run_backward(cell, tiles, space, job, r, block, dy, every, dx, to_state, to_input, share):
    """Back through time: gradients of W and, where asked for, of the initial state and the input.

    dy : gradient with respect to the run's outputs at every step, or at the last.
    dx : gradient with respect to the inputs; the reverse run adds to the other run's.
    share : that of a step in the penalty of the states.
    """
    sizes, buffers = space.sizes, space.buffers
    run, own = run_of(space, r), buffers_of_run(space, r)
    S, Hp, last = sizes.samples, sizes.Hp, block.T
    for b in range(S):
        clear(buffers.dh + b * Hp, Hp)
        if not every:
            add_units(buffers.dh + b * Hp, dy + b * sizes.dy_step, sizes.H)
        if sizes.states > 1:
            clear(buffers.dc + b * Hp, Hp)
    if exists(job.dfinal):
        add_final_gradients(space, block, r, job.dfinal)
    while last > 0:
        first = (last - 1) // sizes.chunk * sizes.chunk  # whole tiles of dx end at a chunk's end
        for s in range(last - 1, first - 1, -1):
            t = block.T - 1 - s if run.reverse else s
            if every:
                for b in range(S):
                    add_units(buffers.dh + b * Hp, dy + (t * S + b) * sizes.dy_step, sizes.H)
            if exists(job.activity):
                h = own.h + (s + 1) * S * sizes.h_step
                job.result[SUMS.penalty] += add_activity(space, job.activity, block, t, h, share)
            da = buffers.da + (s - first) * S * sizes.da_step
            step_backward(cell, tiles, space, run, own, block, s, t, da, s > 0 or to_state)
        if to_input:  # a_t = Wxh x_t + ...
            input_gradient(tiles, space, run, block, first, last, dx)
        run_gradients(tiles, space, run, own, first, (last - first) * S, last == block.T)
        last = first


@kernel
def input_gradient(tiles, space, run, block, first, last, dx):
    """dx of some steps, from their da; a reverse run adds to the other run's."""
    sizes, da, back = space.sizes, space.buffers.da, run.back + run.n_to_h + run.n_to_late
    S, step = sizes.samples, sizes.dy_step
    if run.reverse:
        for s in range(first, last):
            da_s = da + (s - first) * S * sizes.da_step
            dx_t = dx + (block.T - 1 - s) * S * step
            step_backs(tiles, space, back, run.n_to_x, da_s, dx_t, step, s % 2 == 1)
    else:
        M, dx_t = (last - first) * S, dx + first * S * step
        many_backs(tiles, space, back, run.n_to_x, M, da, dx_t, step)


@kernel
def backward(cell, tiles, space, job, block, to_state, to_input, share):
    """All layers, from the readout's dy; returns the pointer to dx."""
    sizes, buffers = space.sizes, space.buffers
    D, height = sizes.directions, sizes.directions * sizes.H
    dy, dx = buffers.dy, buffers.dx
    for back in range(sizes.layers):
        layer = sizes.layers - 1 - back
        every = sizes.sequences != 0 or back > 0
        if back > 0 and sizes.dropout:
            mask = buffers_of_run(space, layer * D).mask
            for row in range(block.T * sizes.samples):
                for j in range(height):
                    dy[row * sizes.dy_step + j] *= mask[row * height + j]
        down = layer > 0 or to_input
        for d in range(D):
            r, dy_d = layer * D + d, dy + d * sizes.H
            run_backward(cell, tiles, space, job, r, block, dy_d, every, dx, to_state, down, share)
            if to_state:
                state_gradients(space, run_of(space, r), block, r, job.dstate)
        dy, dx = dx, dy
    return dy
