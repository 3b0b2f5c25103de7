"""Programs: an epoch of training, and predictions, each one compiled call.

A program's arguments are addresses and sizes that `compute` has made to fit; `layout` says what
stands where.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import float64, int64

from ._jit import kernel
from .cells import CELLS
from .layers import lanes as driver
from .layers.matrices import pack_weights, unpack_gradients
from .layers.samples import (
    Data,
    add_embedding_gradient,
    at_place,
    choose_samples,
    total_weight,
    update_embedding,
)
from .layers.team import OVER, close_phase, end_work, finish, open_phase, rest, take
from .layers.units import (
    load_sequence,
    pad,
    prepare_units,
    restore_sequence,
    turn_weights,
    unit_backward,
    unit_forward,
    unit_gradients,
    unit_loss,
    unpad,
    within,
)
from .layout import (
    OPTIMIZERS,
    TASKS,
    TEAM,
    LaneBuffers,
    LaneJob,
    LaneSizes,
    OnlineBlock,
    Task,
    UnitBuffers,
    UnitSizes,
)
from .losses import outputs
from .simd import Shape, load_buffers, load_record, pointer, size, store_record
from .updates import MARKERS, clip, descend, descend_plainly, penalize

PREPARE, FORWARD, BACKWARD = range(len(TASKS))
FINITE = OnlineBlock._fields.index("finite")


def lane_kernels(real):
    """Kernels that turn the addresses of a `LaneJob` into pointers, reals of type `real`."""

    @kernel
    def space_of(job):
        """The driver's `Space`, prepared, and this thread's ids."""
        sizes = load_record(LaneSizes, pointer(job.sizes, int64))
        work = pointer(job.work, real)
        buffers = load_buffers(LaneBuffers, work, pointer(job.offsets, int64))
        weights, grads = pointer(job.packed, real), pointer(job.grads, real)
        return driver.Space(sizes, buffers, work, weights, grads)

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
        return driver.Given(
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
            pointer(job.grads, real),
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
            driver.take_part(cell, shape, space, given, sync, False)
            close_phase(sync, here)
            if sizes.embedding and weight > 0.0:
                table, at = gradients + sizes.embedding_at, begin * lanes
                m = min(n, end * lanes) - at
                add_embedding_gradient(sizes, data, at, m, window, given.tokens, table)
            begin = end
        for g in range(groups):
            for i in range(3):
                result[i] += given.partial[g * 8 + i]
        unpack_gradients(shape, sizes, given.grads, groups, gradients)
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
        driver.prepare(shape, space)
        if job.helps:
            driver.take_part(cell, shape, space, given, sync, True)
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
        state = driver.state_before(shape, sizes, given, int64(0))
        rests = 0
        while True:
            item = take(sync)
            if item >= 0:
                first = item * lanes
                here = min(lanes, job.n - first)
                block = choose_samples(shape, buffers, ids, data, first, here, int64(0), sizes.T)
                p = given.parameters
                driver.forward(cell, shape, space, block, data, p, state, 0.0, int64(0))
                driver.store_logits(shape, space, block, pointer(job.out, real))
                if job.final:
                    driver.store_states(shape, space, block, ids, pointer(job.final, real))
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
        driver.prepare(shape, space)
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


def unit_shapes(dtype: str, partial: int, vecs: int) -> tuple[Shape, Shape, Shape, Shape]:
    """Tiles of the units-in-lanes driver: partial sums, a row of them, dWhh, one vector."""
    gradient = (4, 2) if vecs > 1 else (8, 1)
    return (
        Shape(dtype, partial, vecs),
        Shape(dtype, 1, vecs),
        Shape(dtype, *gradient),
        Shape(dtype, 1, 1),
    )


def unit_epoch(
    dtype: str, cell_name: str, partial: int, vecs: int, optimizer_name: str
) -> Callable:
    """Training on one sample at a time, or on very few, units in lanes."""
    cell, (sums, row, tile, one) = CELLS[cell_name], unit_shapes(dtype, partial, vecs)
    optimizer, n_rows = MARKERS[optimizer_name], OPTIMIZERS[optimizer_name]

    def program(
        sizes,
        offsets,
        work,
        x,
        y,
        order,
        n,
        batch,
        loss,
        parameters,
        moments,
        length,
        schedule,
        record,
        penalties,
        penalized,
        spare,
        result,
    ):
        """As `lane_epoch`."""
        sizes = load_record(UnitSizes, sizes)
        buffers = load_buffers(UnitBuffers, work, offsets)
        padded = sizes.parameters
        prepare_units(sizes, buffers, n_rows)
        pad(sizes, parameters, buffers.w)
        for k in range(n_rows):
            pad(sizes, moments + k * length, buffers.moments + k * padded)
        if penalized:
            for k in range(2):
                pad(sizes, penalties + k * length, buffers.penalties + k * padded)
        for b in range((n + batch - 1) // batch):
            here = min(batch, n - b * batch)
            turn_weights(sizes, buffers.w)
            for i in range(here):
                sample = order[b * batch + i]
                load_sequence(sizes, buffers, x + sample * sizes.T * sizes.I)
                unit_forward(cell, sums, row, sizes, buffers)
                unit_loss(one, sizes, buffers, y + sample * sizes.Y, 1.0 / here, loss)
                result[0] += buffers.losses[0]
                result[1] += buffers.hits[0]
                result[2] += 1.0
                unit_backward(cell, sums, row, sizes, buffers)
                unit_gradients(sums, row, tile, sizes, buffers, i == 0)
            if not math.isfinite(result[0]):
                break
            w, dw, rate = buffers.w, buffers.dw, schedule[b]
            if penalized:
                result[3] += penalize(w, dw, buffers.penalties, padded, padded)
            result[4] += 1.0
            clip(dw, padded, record)
            descend(optimizer, w, dw, buffers.moments, padded, padded, rate, record, spare)
        unpad(sizes, buffers.w, parameters)
        for k in range(n_rows):
            unpad(sizes, buffers.moments + k * padded, moments + k * length)

    return program


def online_step(dtype: str, cell_name: str, partial: int, vecs: int) -> Callable:
    """One sequence, units in lanes: forward, or backward with an update."""
    cell, (sums, row, tile, one) = CELLS[cell_name], unit_shapes(dtype, partial, vecs)
    real, largest = row.dtype, float(np.finfo(dtype).max)

    def program(block):
        """Do the task that the `OnlineBlock` names.

        Forward: outputs of the sequence x, or, if it is not finite, the last one put back into x.
        Backward: the exact gradient of its loss, and a step of descent.  One argument, since
        converting twelve costs as much as the arithmetic.
        """
        step = load_record(OnlineBlock, block)
        sizes = load_record(UnitSizes, pointer(step.sizes, int64))
        offsets = pointer(step.offsets, int64)
        buffers = load_buffers(UnitBuffers, pointer(step.work, real), offsets)
        parameters = pointer(step.parameters, real)
        if step.task == PREPARE:
            prepare_units(sizes, buffers, 0)
        elif step.task == FORWARD:
            x, out = pointer(step.x, float64), pointer(step.outputs, float64)
            block[FINITE] = within(x, sizes.T * sizes.I, largest)
            if block[FINITE]:
                pad(sizes, parameters, buffers.w)
                turn_weights(sizes, buffers.w)
                load_sequence(sizes, buffers, x)
                unit_forward(cell, sums, row, sizes, buffers)
                outputs(step.loss, buffers.logits, out, sizes.O)
            else:
                restore_sequence(sizes, buffers, x)
        else:
            gradients = pointer(step.gradients, real)
            learning_rate = pointer(step.learning_rate, float64)[0]
            unit_loss(one, sizes, buffers, pointer(step.y, real), 1.0, step.loss)
            unit_backward(cell, sums, row, sizes, buffers)
            unit_gradients(sums, row, tile, sizes, buffers, True)
            unpad(sizes, buffers.dw, gradients)
            n = sizes.H * sizes.S + sizes.O * (1 + sizes.H)
            descend_plainly(parameters, gradients, n, learning_rate)

    return program
