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

from typing import Any, NamedTuple

from numba import int64

from .. import cells
from .._jit import kernel
from ..layout import TEAM, RunBuffers, RunSizes, Task
from ..losses import loss_and_gradient
from ..simd import load_buffers, load_record, pointer, size
from .matrices import (
    clear,
    multiply,
    run_gradients,
    run_products,
    weight_gradients,
)
from .samples import (
    add,
    at_place,
    choose_samples,
    copy,
    draw_mask,
    freeze,
    hold,
    load_embedded,
    load_inputs,
    load_state,
    load_targets,
    places_as_rows,
    scale,
    store_input_gradient,
    store_state,
)
from .team import OVER, finish, rest, take

N_RUN_SIZES, N_RUN_BUFFERS = len(RunSizes._fields), len(RunBuffers._fields)


class Space(NamedTuple):
    """Sizes and work memory."""

    sizes: Any  # LaneSizes
    buffers: Any  # LaneBuffers
    work: Any  # this thread's
    weights: Any  # packed, which all threads read
    grads: Any  # accumulated gradients of the group of blocks at work


class State(NamedTuple):
    """Where initial states come from: ``source[row * stride:]``, (states, runs, H) each."""

    given: Any  # 0: they are zero
    source: Any
    row: Any  # of each lane
    stride: Any


@kernel
def run_sizes(space, run):
    """`RunSizes` of a run."""
    return load_record(RunSizes, pointer(space.sizes.runs, int64) + run * N_RUN_SIZES)


@kernel
def run_buffers(space, run):
    """`RunBuffers` of a run."""
    places = pointer(space.sizes.places, int64) + run * N_RUN_BUFFERS
    return load_buffers(RunBuffers, space.work, places)


@kernel
def prepare(shape, space):
    """Set what no other kernel writes: ones, and initial states of zero."""
    _, lanes = size(shape)
    sizes = space.sizes
    height = 1 + sizes.directions * sizes.H
    for r in range(sizes.layers * sizes.directions):
        run, own = run_sizes(space, r), run_buffers(space, r)
        clear(own.z, run.step)
        for t in range(sizes.T + 1):
            ones(own.z + (t * run.step + run.I * lanes), lanes)
        if sizes.states > 1:
            clear(own.c, sizes.H * lanes)
    if sizes.directions > 1:
        for t in range(sizes.read):
            ones(space.buffers.top + t * height * lanes, lanes)


@kernel
def ones(p, n):
    """Write n ones."""
    for i in range(n):
        p[i] = 1.0


# ------------------------------------------------------------------------------------ forward


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
def run_forward(cell, shape, space, r, T, shortest, zero):
    """h_t = cell(W z_t, h_{t-1}) for all t; `zero` says that h_0 is zero."""
    _, lanes = size(shape)
    sizes, run, own = space.sizes, run_sizes(space, r), run_buffers(space, r)
    n, h_at = sizes.H * lanes, (run.I + 1) * lanes
    for s in range(T):
        z, a = own.z + s * run.step, own.a + s * run.keep
        c = own.c + s * n
        step = cells.Step(
            n, a, z + h_at, z + (run.step + h_at), c, c + n, space.weights + run.beside
        )
        first = zero and s == 0
        table, i = sizes.products, run.product
        run_products(shape, space.weights, table, i, run.n_products, z, a, first)
        if cells.resets_first(cell):
            cells.reset(cell, step)
            i += run.n_products
            run_products(shape, space.weights, table, i, run.n_late, z, a, first)
        cells.forward(cell, step)
        t = T - 1 - s if run.reverse else s
        if t >= shortest:
            freeze(shape, space.buffers, t, step.h, step.h_prev, sizes.H)
            if sizes.states > 1:
                freeze(shape, space.buffers, t, step.c, step.c_prev, sizes.H)


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


# ------------------------------------------------------------------------------------ read-out


@kernel
def outputs_of(shape, space, T, t, slot):
    """[1; y_t] (1 + D H, lanes): the top layer's outputs of step t, or its final ones."""
    _, lanes = size(shape)
    sizes = space.sizes
    r = (sizes.layers - 1) * sizes.directions
    run, own = run_sizes(space, r), run_buffers(space, r)
    one_and_h = own.z + ((t + 1) * run.step + run.I * lanes)
    if sizes.directions == 1:
        return one_and_h
    n = sizes.H * lanes
    top = space.buffers.top + slot * (2 * n + lanes)
    there = T - 1 - t if sizes.sequences else T - 1
    copy(top + lanes, one_and_h + lanes, n)
    h = run_buffers(space, r + 1).z + ((there + 1) * run.step + (run.I + 1) * lanes)
    copy(top + (lanes + n), h, n)
    return top


@kernel
def logits_of(shape, space, top, slot):
    """logits = V [1; y]."""
    sizes, buffers = space.sizes, space.buffers
    logits = buffers.logits + slot * sizes.logit_step
    K = 1 + sizes.directions * sizes.H
    multiply(shape, space.weights + sizes.v_forward, K, sizes.O, K, top, logits, 0)
    return logits


@kernel
def store_logits(shape, space, block, out):
    """Logits of every step, or of the last, to ``out`` (rows or N, O)."""
    _, lanes = size(shape)
    sizes = space.sizes
    for i in range(block.T if sizes.sequences else 1):
        t = i if sizes.sequences else block.T - 1
        logits = logits_of(shape, space, outputs_of(shape, space, block.T, t, int64(0)), int64(0))
        for v in range(block.n):
            at = block.ids[v]
            if sizes.sequences:
                at = block.ids[lanes + v] + t
            if not sizes.sequences or t < block.ids[2 * lanes + v]:
                for o in range(sizes.O):
                    out[at * sizes.O + o] = logits[o * lanes + v]


@kernel
def read_out(shape, space, block, data, loss, factor, result):
    """Losses, and their gradients by V and by all outputs."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    n = block.T if sizes.sequences else 1
    height = sizes.directions * sizes.H
    run = run_sizes(space, (sizes.layers - 1) * sizes.directions)
    top_step = run.step if sizes.directions == 1 else (1 + height) * lanes
    for i in range((n + sizes.read - 1) // sizes.read):
        first = i * sizes.read
        here = min(sizes.read, n - first)
        for slot in range(here):
            t = first + slot if sizes.sequences else block.T - 1
            logits = logits_of(shape, space, outputs_of(shape, space, block.T, t, slot), slot)
            load_targets(shape, sizes, buffers, block, data, t)
            loss_and_gradient(shape, loss, logits, buffers, factor, sizes.O)
            total, hits, weights = 0.0, 0.0, 0.0
            for v in range(block.n):
                weight = float(buffers.weights[v])
                if weight > 0.0:
                    total += weight * buffers.losses[v]
                    hits += weight * buffers.hits[v]
                    weights += weight
            result[0] += total
            result[1] += hits
            result[2] += weights
            # logits = V [1; y]
            dy = buffers.dy + (first + slot) * sizes.dy_step
            v = space.weights + sizes.v_backward
            multiply(shape, v, sizes.O, height, sizes.O, logits, dy, 0)
        start = first if sizes.sequences else block.T - 1
        top = buffers.top
        if sizes.directions == 1:
            top = outputs_of(shape, space, block.T, start, int64(0))
        dv, panel = space.grads + sizes.dv, buffers.panel
        logits, logit_step = buffers.logits, sizes.logit_step
        if sizes.narrow:
            weight_gradients(
                shape, dv, 1 + height, sizes.O, top, top_step, logits, logit_step, here, panel
            )
        else:
            weight_gradients(
                shape, dv, sizes.O, 1 + height, logits, logit_step, top, top_step, here, panel
            )


# ----------------------------------------------------------------------------------- backward


@kernel
def step_backward(cell, shape, space, run, own, s, t, da, shortest, further):
    """da_t from dh_t, and from it dh_{t-1} but for what comes from outside, if `further`."""
    _, lanes = size(shape)
    sizes, buffers = space.sizes, space.buffers
    n, h_at = sizes.H * lanes, (run.I + 1) * lanes
    z, c = own.z + s * run.step, own.c + s * n
    a = own.a + s * run.keep
    step = cells.Step(n, a, z + h_at, z + (run.step + h_at), c, c + n, space.weights + run.beside)
    grads = cells.Gradients(da, buffers.dh, buffers.dc, space.grads + run.sums, buffers.dr)
    ended = t >= shortest
    if ended:
        hold(shape, buffers, t, buffers.dh, buffers.held, sizes.H)
        if sizes.states > 1:
            hold(shape, buffers, t, buffers.dc, buffers.held + n, sizes.H)
    cells.backward(cell, step, grads)
    if cells.resets_first(cell):
        multiply(
            shape, space.weights + run.w_r, sizes.H, sizes.H, sizes.H, da + 2 * n, buffers.dr, 0
        )
        cells.reset_backward(cell, step, grads)
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
            space.grads,
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
def state_gradients(shape, space, block, r, out):
    """Gradients by the initial state of run r: to `out`, if there is any, and to their sums."""
    _, lanes = size(shape)
    sizes, buffers, run = space.sizes, space.buffers, run_sizes(space, r)
    n_runs = sizes.layers * sizes.directions
    stride, row = sizes.states * n_runs * sizes.H, block.ids
    for k in range(sizes.states):
        grads = buffers.dc if k else buffers.dh
        if sizes.learned_state:
            sums = space.grads + (run.state_sums + k * n_runs * sizes.H * lanes)
            add(sums, grads, sizes.H * lanes)
        else:
            to = out + (k * n_runs + r) * sizes.H
            store_state(shape, block, grads, sizes.H, row, stride, to)


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


# ------------------------------------------------------------------------------------- groups


class Given(NamedTuple):
    """What is the same for all batches: where the results of a group of blocks go, and whence."""

    data: Any  # Data, its order that of the whole epoch
    ids: Any
    loss: Any
    probability: Any
    parameters: Any
    initial: Any  # whether there are initial states, or learned ones
    state: Any
    carry: Any  # 0, or whether states go on to the next window
    carried: Any
    to_state: Any  # whether to take the gradient by the initial state
    dstate: Any
    to_input: Any  # whether to take that by the input
    to_dx: Any  # and whether it goes to dx
    dx: Any
    tokens: Any  # where it goes for an embedding
    grads: Any  # of all groups
    partial: Any
    factor: Any  # of the task's gradients: a double, which the leader writes


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
def group_gradients(cell, shape, space, given, task, factor, group):
    """Gradients of every `task.groups`-th block of a window of a batch, from the `group`-th on.

    What is added up over blocks is so in their order, and a group is always the same blocks: the
    bits are those of the shapes.
    """
    _, lanes = size(shape)
    sizes, partial = space.sizes, given.partial + group * 8
    grads = given.grads + group * sizes.grads
    space = Space(sizes, space.buffers, space.work, space.weights, grads)
    data = at_place(given.data, task.first)
    if task.begin == 0:
        clear(grads, sizes.grads)
        for i in range(3):
            partial[i] = 0.0
    state = state_before(shape, sizes, given, task.window)
    to_state = int64(given.to_state != 0 and task.window == 0)
    if given.carry and not state.given:
        clear_states(shape, space)
    b = task.begin + group
    while b < task.end:  # a range of unknown step could raise
        first = b * lanes
        b += task.groups
        here = min(lanes, task.n - first)
        block = choose_samples(
            shape, space.buffers, given.ids, data, first, here, task.window, sizes.T
        )
        if block.T > 0:
            chance, seed = given.probability, task.seed
            forward(cell, shape, space, block, data, given.parameters, state, chance, seed)
            if given.carry:
                store_states(shape, space, block, given.ids + 3 * lanes, given.carried)
            if factor > 0.0:
                read_out(shape, space, block, data, given.loss, factor, partial)
                dx = backward(cell, shape, space, block, to_state, given.to_input, given.dstate)
                I, dx_step = run_sizes(space, 0).I, sizes.dy_step
                if sizes.embedding:
                    rows = places_as_rows(shape, block, task.begin * lanes, sizes.T)
                    store_input_gradient(shape, block, rows, dx, dx_step, I, given.tokens)
                if given.to_dx:
                    rows = block.ids + lanes
                    store_input_gradient(shape, block, rows, dx, dx_step, I, given.dx)


# -------------------------------------------------------------------------------------- teams


@kernel
def take_part(cell, shape, space, given, sync, helps):
    """Do items of the open phase as long as there are any, a helper of every phase to come."""
    rests = 0
    while True:
        item = take(sync)
        if item >= 0:
            task = load_record(Task, sync + TEAM.task)
            group_gradients(cell, shape, space, given, task, given.factor[0], item)
            finish(sync)
            rests = 0
        elif item == OVER or not helps:
            return
        else:
            rests = rest(sync, rests)
