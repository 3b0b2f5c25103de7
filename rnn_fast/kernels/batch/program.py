"""Programs: an epoch of training, and predictions, each one compiled call.

A program's arguments are addresses and sizes that `compute` has made to fit; `layout` says what
stands where.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from numba import float64, int64

from ...cells.kernels.types import CELLS
from ...jit import kernel
from ...layout.batch_records import TEAM, LaneBuffers, LaneJob, LaneSizes, Task
from ...optimizers.kernels import MARKERS, clip, descend, penalize
from ...simd import Shape, load_buffers, load_record, pointer, size, store_record
from ..team import OVER, close_phase, end_work, finish, open_phase, rest, take
from .embedding import add_embedding_gradient, update_embedding
from .gradients import Given, take_part
from .matrices import add_up, pack_weights
from .readout import store_logits, total_weight
from .recurrence import forward
from .samples import Data, at_place, choose_samples
from .states import state_before, store_states
from .workspace import Space, prepare


def lane_kernels(real):
    """Kernels that turn the addresses of a `LaneJob` into pointers, reals of type `real`."""

    @kernel
    def space_of(job):
        """The driver's `Space`, prepared, and this thread's ids."""
        sizes = load_record(LaneSizes, pointer(job.sizes, int64))
        work = pointer(job.work, real)
        buffers = load_buffers(LaneBuffers, work, pointer(job.offsets, int64))
        return Space(sizes, buffers, work, pointer(job.packed, real))

    @kernel
    def given_of(job, sizes):
        """What is the same for all batches."""
        data = Data(
            pointer(job.x, real),
            pointer(job.x, int64),
            pointer(job.starts, int64),
            pointer(job.lengths, int64),
            pointer(job.y, real),
            pointer(job.weights, real),
            job.weights != 0,
            pointer(job.order, int64),
        )
        return Given(
            data,
            pointer(job.ids, int64),
            job.loss,
            pointer(job.dropout, float64)[0],
            pointer(job.parameters, real),
            job.state != 0,
            pointer(job.state, real),
            job.carry != 0,
            pointer(job.carry, real),
            int64(sizes.learned_state != 0 or job.dstate != 0),
            pointer(job.dstate, real),
            job.dx != 0 or sizes.embedding != 0,
            job.dx != 0,
            pointer(job.dx, real),
            pointer(job.tokens, real),
            pointer(job.flats, real),
            job.stride,
            pointer(job.partial, float64),
            pointer(job.team, float64) + TEAM.factor,
        )

    return space_of, given_of


def lane_epoch(dtype: str, cell_name: str, rows: int, vecs: int, optimizer_name: str) -> Callable:
    """Training in mini-batches, samples in lanes."""
    cell, shape, optimizer = CELLS[cell_name], Shape(dtype, rows, vecs), MARKERS[optimizer_name]
    real, (space_of, given_of) = shape.dtype, lane_kernels(shape.dtype)

    @kernel
    def window_gradients(job, space, given, sync, first, n, window, seed):
        """The gradient of the mean loss over a window of a batch; gives the weight of all in it."""
        _, lanes = size(shape)
        sizes, data = space.sizes, at_place(given.data, first)
        result, gradients = pointer(job.result, float64), pointer(job.gradients, real)
        weight = total_weight(sizes, data, n, window)
        given.factor[0] = 1.0 / weight if weight > 0.0 else 0.0
        pack_weights(shape, sizes, given.parameters, space.weights)
        blocks = (n + lanes - 1) // lanes
        groups = min(blocks, job.groups)
        begin = int64(0)
        while begin < blocks:  # a range of unknown step could raise
            end = min(blocks, begin + job.round)
            here = min(end - begin, groups)
            store_record(sync + TEAM.task, Task(first, n, window, seed, begin, end, here))
            open_phase(sync, here)
            take_part(cell, shape, space, given, sync, False)
            close_phase(sync, here)
            if sizes.embedding and weight > 0.0:
                table, at = gradients + sizes.embedding_at, begin * lanes
                m = min(n, end * lanes) - at
                add_embedding_gradient(sizes, data, at, m, window, given.tokens, table)
            begin = end
        for g in range(groups):
            for i in range(3):
                result[i] += given.partial[g * 8 + i]
        add_up(given.flats, groups, given.stride, sizes.embedding_at, gradients)
        return weight

    @kernel
    def update(job, sizes, data, first, n, window, rate):
        """A step of descent from the gradients of a window of a batch."""
        parameters, gradients = pointer(job.parameters, real), pointer(job.gradients, real)
        moments, penalties = pointer(job.moments, real), pointer(job.penalties, real)
        record, result = pointer(job.knobs, float64), pointer(job.result, float64)
        spare, length = pointer(job.spare, real), job.update
        dense = sizes.embedding_at if job.sparse else length
        if job.penalties:
            result[3] += penalize(parameters, gradients, penalties, dense, length)
        result[4] += 1.0
        clip(gradients, length, record)
        descend(optimizer, parameters, gradients, moments, dense, length, rate, record, spare)
        if sizes.embedding:
            own, alone = at_place(data, first), job.sparse
            update_embedding(sizes, own, n, window, parameters, gradients, rate, alone)

    def program(job):
        """Visit the samples of the `LaneJob`, `batch` at a time, with an update after each.

        Where there is a carry, a batch is run in windows of T steps, each with an update of its
        own, and states go from one to the next: truncated back-propagation.  A loss that is not
        finite ends the epoch before its update.
        """
        job = load_record(LaneJob, job)
        space, sync = space_of(job), pointer(job.team, int64)
        sizes = space.sizes
        given = given_of(job, sizes)
        prepare(shape, space)
        if job.helps:
            take_part(cell, shape, space, given, sync, True)
            return
        schedule, result = pointer(job.schedule, float64), pointer(job.result, float64)
        data = given.data
        for b in range((job.n + job.batch - 1) // job.batch):  # a range of unknown step could raise
            first = b * job.batch
            here = min(job.batch, job.n - first)
            longest = int64(0)
            for i in range(first, first + here):
                longest = max(longest, data.lengths[data.order[i]])
            window = int64(0)
            while window < longest:
                seed = job.seed + int64(result[5])
                result[5] += 1.0
                weight = window_gradients(job, space, given, sync, first, here, window, seed)
                if not math.isfinite(result[0]):
                    end_work(sync)
                    return
                if job.update and weight > 0.0:
                    update(job, sizes, data, first, here, window, schedule[b])
                window += sizes.T
        end_work(sync)

    return program


def predictions(dtype: str, cell_name: str, rows: int, vecs: int) -> Callable:
    """Logits, samples in lanes: the same bits for a sample alone and in any company."""
    cell, shape = CELLS[cell_name], Shape(dtype, rows, vecs)
    real, (space_of, given_of) = shape.dtype, lane_kernels(shape.dtype)

    @kernel
    def take_blocks(job, space, given, sync):
        """Predict for blocks of samples as long as there are any; a helper waits for the first."""
        _, lanes = size(shape)
        sizes, buffers, ids, data = space.sizes, space.buffers, given.ids, given.data
        state = state_before(shape, sizes, given, int64(0))
        rests = 0
        while True:
            item = take(sync)
            if item >= 0:
                first = item * lanes
                here = min(lanes, job.n - first)
                block = choose_samples(shape, buffers, ids, data, first, here, int64(0), sizes.T)
                p = given.parameters
                forward(cell, shape, space, block, data, p, state, 0.0, int64(0))
                store_logits(shape, space, block, pointer(job.out, real))
                if job.final:
                    store_states(shape, space, block, ids, pointer(job.final, real))
                finish(sync)
                rests = 0
            elif item == OVER or not job.helps:
                return
            else:
                rests = rest(sync, rests)

    def program(job):
        """``out`` = the logits of the samples of the `LaneJob`, ``final`` = their last states."""
        job = load_record(LaneJob, job)
        space, sync = space_of(job), pointer(job.team, int64)
        given = given_of(job, space.sizes)
        _, lanes = size(shape)
        prepare(shape, space)
        if job.helps:
            take_blocks(job, space, given, sync)
            return
        pack_weights(shape, space.sizes, given.parameters, space.weights)
        blocks = (job.n + lanes - 1) // lanes
        open_phase(sync, blocks)
        take_blocks(job, space, given, sync)
        close_phase(sync, blocks)
        end_work(sync)

    return program
