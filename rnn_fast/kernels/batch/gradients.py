"""Gradients of groups of blocks, taken by the threads of a team."""

from __future__ import annotations

from numba import float64

from ...jit import kernel
from ...layout.batch_records import PARTIAL, SUMS, TEAM, Task
from ...layout.stages import STAGES
from ...simd import exists, load_record, pointer, size
from ..team import OVER, finish, rest, take
from .inputs import places_as_rows, store_rows
from .matrices import clear, unpack_gradients
from .readout import predict, read_out
from .recurrence import backward, forward
from .samples import choose_samples
from .states import clear_states, state_before, store_hidden, store_states
from .workspace import is_tail, kept_space, prepare, run_sizes


@kernel
def group_gradients(cell, shape, space, job, task, factor, group, block_lanes):
    """Every `task.groups`-th block of a window of a batch, from the `group`-th on: its gradients.

    Sums over blocks are in the order of the blocks, and a group is always the same blocks: the bits
    depend on the shapes alone.
    """
    _, lanes = size(shape)
    sizes, partial = space.sizes, job.partial + group * PARTIAL
    if task.stage != STAGES.forward:
        clear(space.buffers.grads, sizes.grads)
    if task.begin == 0:
        for i in range(SUMS.penalty + 1):
            partial[i] = 0.0
    state = state_before(lanes, sizes, job, task.window)
    if exists(job.carry) and not state.is_set:
        clear_states(shape, space)
    b = task.begin + group
    while b < task.end:  # a range of unknown step could raise
        first = b * block_lanes
        block = choose_samples(
            lanes,
            space.buffers,
            job,
            job.order + task.first,
            first,
            min(block_lanes, task.n - first),
            task.window,
            sizes.T,
        )
        if block.T > 0:
            own = kept_space(space, job, b)
            next_b = b + (task.groups if b + task.groups < task.end else 1)
            ahead = task.first + min(next_b * block_lanes, task.n)
            block_gradients(cell, shape, own, job, task, block, state, factor, partial, ahead)
        b += task.groups
    if task.stage != STAGES.forward:
        flat = job.flats + group * job.stride
        unpack_gradients(shape, sizes, space.buffers.grads, flat, task.begin > 0)


@kernel
def block_gradients(cell, shape, space, job, task, block, state, factor, partial, ahead):
    """Gradients of one block, added to the group's; losses to `partial`.

    A stage is half of that.  If the states are not kept, both stages run forward.

    ahead : place in the order of the samples that will follow, as far as one thread knows.
    """
    _, lanes = size(shape)
    sizes, kept = space.sizes, exists(job.kept)
    if task.stage != STAGES.backward or not kept:
        if kept:
            prepare(shape, space)
        forward(cell, shape, space, job, block, state, task.seed)
        if exists(job.carry):
            store_states(shape, space, block, block.ids.places, job.carry)
    if task.stage == STAGES.forward:
        write_outputs(shape, space, job, block)
    elif factor > 0.0:
        read_out(shape, space, job, block, factor, partial)
        to_state = (sizes.learned_state != 0 or exists(job.dstate)) and task.window == 0
        to_input = sizes.embedding != 0 or exists(job.dx)
        share = pointer(job.team, float64) + TEAM.share
        fill_lanes(shape, space.buffers.weights, block.n, share[0])
        dx = backward(cell, shape, space, job, block, to_state, to_input, partial, ahead)
        I, dx_step, panel = run_sizes(space, 0).I, sizes.dy_step, space.buffers.panel
        if sizes.embedding:
            rows = places_as_rows(shape, block, task.begin * lanes, sizes.T)
            store_rows(shape, panel, block, rows, dx, dx_step, I, job.dtokens, I)
        if exists(job.dx):
            store_rows(shape, panel, block, block.ids.rows, dx, dx_step, I, job.dx, I)


@kernel
def fill_lanes(shape, p, n, value):
    """Write a value to the first n lanes, and 0 to the others."""
    _, lanes = size(shape)
    for v in range(lanes):
        p[v] = value if v < n else 0.0


@kernel
def write_outputs(shape, space, job, block):
    """Write what a forward pass gives: logits, measures, states."""
    if space.sizes.O > 0:
        predict(shape, space, job, block)
    if exists(job.hidden):
        store_hidden(shape, space, job, block)
    if exists(job.final):
        store_states(shape, space, block, block.ids.samples, job.final)


@kernel
def take_part(cell, shape, space, tail, tail_space, job, sync, helps):
    """Take items of the open phase while there are any; a helper waits for the phases to come.

    With a tail each block is a group of its own, and the last one may be narrow.
    """
    factor, rests = pointer(sync, float64) + TEAM.factor, 0
    _, lanes = size(shape)
    while True:
        item = take(sync)
        if item >= 0:
            task = load_record(Task, sync + TEAM.task)
            if is_tail(job, tail, task.n - item * lanes):
                group_gradients(cell, tail, tail_space, job, task, factor[0], item, lanes)
            else:
                group_gradients(cell, shape, space, job, task, factor[0], item, lanes)
            finish(sync)
            rests = 0
        elif item == OVER or not helps:
            return
        else:
            rests = rest(sync, rests)
