"""Programs of the single driver: an epoch of training, and one online step."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import int64

from ...cells.kernels import marker_of
from ...jit import kernel
from ...layout.batch_records import SUMS
from ...layout.descent import Part
from ...layout.single import TASKS, OnlineJob, SingleBuffers, SingleJob, SingleSizes
from ...optimizers.updates import descend_plainly
from ...simd import Shape, address_of, buffers_of, exists, typed_view, view
from ..descent import call_descent, store_part
from ..loss import put_out
from .recurrence import (
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

PREPARE, FORWARD, BACKWARD, GRADIENTS = range(len(TASKS))
IS_FINITE = OnlineJob._fields.index("is_finite")


def single_shapes(dtype: str, partial: int, vecs: int) -> tuple[Shape, Shape, Shape, Shape]:
    """Tiles of the single driver: partial sums, a row of them, dWhh, one vector."""
    gradient = (4, 2) if vecs > 1 else (8, 1)
    return (
        Shape(dtype, partial, vecs),
        Shape(dtype, 1, vecs),
        Shape(dtype, *gradient),
        Shape(dtype, 1, 1),
    )


@kernel
def pad_all(sizes, buffers, job):
    """Bring parameters, optimizer state and penalties to the driver's padded form."""
    padded, n = sizes.parameters, job.n_parameters
    pad(sizes, job.parameters, buffers.w)
    for k in range(job.rows):
        pad(sizes, job.moments + k * n, buffers.moments + k * padded)
    if exists(job.penalties):
        for k in range(2):
            pad(sizes, job.penalties + k * n, buffers.penalties + k * padded)


@kernel
def unpad_all(sizes, buffers, job):
    """Bring parameters and optimizer state back."""
    unpad(sizes, buffers.w, job.parameters)
    for k in range(job.rows):
        moments = job.moments + k * job.n_parameters
        unpad(sizes, buffers.moments + k * sizes.parameters, moments)


@kernel
def store_parameters(sizes, buffers, job):
    """Name what all updates of an epoch work on."""
    padded = sizes.parameters
    part = Part(
        parameters=buffers.w,
        gradients=buffers.dw,
        moments=buffers.moments,
        penalties=address_of(buffers.penalties) if exists(job.penalties) else int64(0),
        stride=padded,
        n=padded,
        n_gradients=padded,
    )
    store_part(job.descent, int64(0), part)


def single_epoch(dtype: str, cell_name: str, partial: int, vecs: int) -> Callable:
    """Training on one sample at a time, or on very few."""
    cell, (sums, row, tile, one) = marker_of(cell_name), single_shapes(dtype, partial, vecs)

    def program(job):
        """Visit the samples of the `SingleJob`, as `batch_epoch`."""
        job = typed_view(SingleJob, job, one)
        sizes = view(SingleSizes, job.sizes)
        buffers, result = buffers_of(SingleBuffers, job.work, job.offsets), job.result
        prepare_units(sizes, buffers, job.rows)
        pad_all(sizes, buffers, job)
        store_parameters(sizes, buffers, job)
        for b in range((job.n + job.batch - 1) // job.batch):
            n = min(job.batch, job.n - b * job.batch)
            turn_weights(sizes, buffers.w)
            for i in range(n):
                sample = job.order[b * job.batch + i]
                load_sequence(sizes, buffers, job.x + sample * sizes.T * sizes.I)
                unit_forward(cell, sums, row, sizes, buffers)
                unit_loss(job, sizes, buffers, job.y + sample * sizes.Y, 1.0 / n)
                result[SUMS.loss] += buffers.losses[0]
                result[SUMS.hits] += buffers.hits[0]
                result[SUMS.weight] += 1.0
                unit_backward(cell, sums, row, sizes, buffers)
                unit_gradients(sums, row, tile, sizes, buffers, i == 0)
            if not math.isfinite(result[SUMS.loss]):
                break
            call_descent(job, job.schedule + b, int64(1))
            result[SUMS.batches] += 1.0
        unpad_all(sizes, buffers, job)

    return program


def online_step(dtype: str, cell_name: str, partial: int, vecs: int) -> Callable:
    """One sequence: forward, or backward with an update."""
    cell, (sums, row, tile, one) = marker_of(cell_name), single_shapes(dtype, partial, vecs)
    largest = float(np.finfo(dtype).max)

    def program(record):
        """Do the task that the `OnlineJob` names.

        Forward: outputs of the sequence x; if x is not finite, restore the last one instead.
        Gradients: the exact gradient of the loss.  Backward: this, and a step of descent.  One
        argument, since converting twelve costs as much as the arithmetic.
        """
        job = typed_view(OnlineJob, record, one)
        sizes = view(SingleSizes, job.sizes)
        buffers = buffers_of(SingleBuffers, job.work, job.offsets)
        if job.task == PREPARE:
            prepare_units(sizes, buffers, 0)
        elif job.task == FORWARD:
            record[IS_FINITE] = within(job.x, sizes.T * sizes.I, largest)
            if record[IS_FINITE]:
                pad(sizes, job.parameters, buffers.w)
                turn_weights(sizes, buffers.w)
                load_sequence(sizes, buffers, job.x)
                unit_forward(cell, sums, row, sizes, buffers)
                put_out(job, buffers.logits, job.outputs, sizes.O)
            else:
                restore_sequence(sizes, buffers, job.x)
        else:
            unit_loss(job, sizes, buffers, job.y, 1.0)
            unit_backward(cell, sums, row, sizes, buffers)
            unit_gradients(sums, row, tile, sizes, buffers, True)
            unpad(sizes, buffers.dw, job.gradients)
            if job.task == BACKWARD:
                n = sizes.H * sizes.S + sizes.O * (1 + sizes.H)
                descend_plainly(job.parameters, job.gradients, n, job.learning_rate[0])

    return program
