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
from .layers.matrices import pack_weights
from .layers.samples import Data, choose_samples, update_embedding
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
    LaneBuffers,
    LaneJob,
    LaneSizes,
    OnlineBlock,
    UnitBuffers,
    UnitSizes,
)
from .losses import outputs
from .simd import Shape, load_buffers, load_record, pointer, size
from .updates import MARKERS, clip, descend, descend_plainly, penalize

PREPARE, FORWARD, BACKWARD = range(len(TASKS))
FINITE = OnlineBlock._fields.index("finite")


def lane_data(real):
    """A kernel that gives the `Data` of a `LaneJob`, reals of type `real`."""

    @kernel
    def data(job, order):
        return Data(
            pointer(job.x, real),
            pointer(job.x, int64),
            pointer(job.starts, int64),
            pointer(job.lengths, int64),
            pointer(job.y, real),
            pointer(job.weights, real),
            job.weights != 0,
            order,
        )

    return data


def lane_epoch(dtype: str, cell_name: str, rows: int, vecs: int, optimizer_name: str) -> Callable:
    """Training in mini-batches, samples in lanes."""
    cell, shape, optimizer = CELLS[cell_name], Shape(dtype, rows, vecs), MARKERS[optimizer_name]
    real, data_of = shape.dtype, lane_data(shape.dtype)

    def program(job):
        """Visit the samples of the `LaneJob`, `batch` at a time, with an update after each.

        Where there is a carry, a batch is run in windows of T steps, each with an update of its
        own, and states go from one to the next: truncated back-propagation.  A loss that is not
        finite ends the epoch before its update.
        """
        job = load_record(LaneJob, job)
        sizes = load_record(LaneSizes, pointer(job.sizes, int64))
        work = pointer(job.work, real)
        buffers = load_buffers(LaneBuffers, work, pointer(job.offsets, int64))
        space = driver.Space(sizes, buffers, work)
        parameters, gradients = pointer(job.parameters, real), pointer(job.gradients, real)
        moments, order = pointer(job.moments, real), pointer(job.order, int64)
        schedule, record = pointer(job.schedule, float64), pointer(job.knobs, float64)
        result, spare = pointer(job.result, float64), pointer(job.spare, real)
        probability, penalties = pointer(job.dropout, float64)[0], pointer(job.penalties, real)
        ids, carry = pointer(job.ids, int64), pointer(job.carry, real)
        _, lanes = size(shape)
        outputs = (carry, pointer(job.dstate, real), pointer(job.dx, real), result)
        stride = sizes.states * sizes.layers * sizes.directions * sizes.H
        driver.prepare(shape, space)
        update = int64(0)
        for b in range((job.n + job.batch - 1) // job.batch):  # a range of unknown step could raise
            first = b * job.batch
            here = min(job.batch, job.n - first)
            data = data_of(job, order + first)
            longest = int64(0)
            for i in range(here):
                longest = max(longest, data.lengths[data.order[i]])
            state = driver.State(job.state != 0, pointer(job.state, real), ids, stride)
            if sizes.learned_state:
                state = driver.State(True, parameters + sizes.state_at, ids, int64(0))
            to_state = int64(sizes.learned_state != 0 or job.dstate != 0)
            window = int64(0)
            while window < longest:
                batch = driver.Batch(
                    here,
                    window,
                    job.loss,
                    job.seed + update,
                    probability,
                    job.carry != 0,
                    to_state,
                    job.dx != 0 or sizes.embedding != 0,
                    job.dx != 0,
                )
                weight = driver.batch_gradients(
                    cell, shape, space, data, batch, ids, state, parameters, gradients, outputs
                )
                if not math.isfinite(result[0]):
                    return
                if job.update and weight > 0.0:
                    n = job.update
                    dense = sizes.embedding_at if job.sparse else n
                    if job.penalties:
                        result[3] += penalize(parameters, gradients, penalties, dense, n)
                    result[4] += 1.0
                    clip(gradients, n, record)
                    rate = schedule[b]
                    descend(
                        optimizer, parameters, gradients, moments, dense, n, rate, record, spare
                    )
                    if sizes.embedding:
                        update_embedding(
                            sizes, data, here, window, parameters, gradients, rate, job.sparse
                        )
                update += 1
                window += sizes.T
                state = driver.State(True, carry, ids + 3 * lanes, stride)
                to_state = int64(0)

    return program


def predictions(dtype: str, cell_name: str, rows: int, vecs: int) -> Callable:
    """Logits, samples in lanes: the same bits for a sample alone and in any company."""
    cell, shape = CELLS[cell_name], Shape(dtype, rows, vecs)
    real, data_of = shape.dtype, lane_data(shape.dtype)

    def program(job):
        """``out`` = the logits of the samples of the `LaneJob`, ``final`` = their last states."""
        job = load_record(LaneJob, job)
        sizes = load_record(LaneSizes, pointer(job.sizes, int64))
        work = pointer(job.work, real)
        buffers = load_buffers(LaneBuffers, work, pointer(job.offsets, int64))
        space = driver.Space(sizes, buffers, work)
        parameters, ids = pointer(job.parameters, real), pointer(job.ids, int64)
        data = data_of(job, pointer(job.order, int64))
        _, lanes = size(shape)
        driver.prepare(shape, space)
        pack_weights(shape, sizes, work, parameters)
        stride = sizes.states * sizes.layers * sizes.directions * sizes.H
        state = driver.State(job.state != 0, pointer(job.state, real), ids, stride)
        if sizes.learned_state and job.state == 0:
            state = driver.State(True, parameters + sizes.state_at, ids, int64(0))
        for first in range(0, job.n, lanes):
            here = min(lanes, job.n - first)
            block = choose_samples(shape, buffers, ids, data, first, here, int64(0), sizes.T)
            driver.forward(cell, shape, space, block, data, parameters, state, 0.0, int64(0))
            driver.store_logits(shape, space, block, pointer(job.out, real))
            if job.final:
                driver.store_states(shape, space, block, ids, pointer(job.final, real))

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
