"""Gradients of groups of blocks, taken by the threads of a team."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import int64

from ...jit import kernel
from ...layout.batch_records import TEAM, Task
from ...simd import load_record, size
from ..team import OVER, finish, rest, take
from .inputs import places_as_rows, store_input_gradient
from .matrices import clear, unpack_gradients
from .readout import read_out
from .recurrence import backward, forward
from .samples import at_place, choose_samples
from .states import clear_states, state_before, store_states
from .workspace import run_sizes


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
    flats: Any  # gradients of all groups
    stride: Any  # from one to the next
    partial: Any
    factor: Any  # of the task's gradients: a double, which the leader writes


@kernel
def group_gradients(cell, shape, space, given, task, factor, group):
    """Gradients of every `task.groups`-th block of a window of a batch, from the `group`-th on.

    What is added up over blocks is so in their order, and a group is always the same blocks: the
    bits are those of the shapes.
    """
    _, lanes = size(shape)
    sizes, grads, partial = space.sizes, space.buffers.grads, given.partial + group * 8
    data = at_place(given.data, task.first)
    clear(grads, sizes.grads)
    if task.begin == 0:
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
    flat = given.flats + group * given.stride
    unpack_gradients(shape, sizes, grads, flat, task.begin > 0)


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
