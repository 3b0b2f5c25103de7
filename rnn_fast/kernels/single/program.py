"""Programs of the driver for one sample at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import float64, int64

from ...cells.kernels.types import CELLS
from ...layout.single import TASKS, OnlineBlock, UnitBuffers, UnitSizes
from ...losses.kernels import outputs
from ...optimizers.kernels import MARKERS, clip, descend, descend_plainly, penalize
from ...optimizers.record import STATE_SIZES
from ...simd import Shape, load_buffers, load_record, pointer
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

PREPARE, FORWARD, BACKWARD = range(len(TASKS))
FINITE = OnlineBlock._fields.index("finite")


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
    optimizer, n_rows = MARKERS[optimizer_name], STATE_SIZES[optimizer_name]

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
