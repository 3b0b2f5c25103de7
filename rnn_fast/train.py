"""Programs: an epoch of training, and predictions, each one compiled call.

A program's arguments are addresses and sizes that `compute` has made to fit; `layout` says what
stands where.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import float64, int64

from .cells import CELLS
from .layers.lanes import (
    batch_gradients,
    choose_samples,
    forward,
    load_inputs,
    pack_weights,
    prepare,
)
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
from .layout import TASKS, LaneBuffers, LaneSizes, OnlineBlock, UnitBuffers, UnitSizes
from .losses import outputs
from .optimizers import sgd
from .simd import Shape, load_buffers, load_sizes, pointer, size

PREPARE, FORWARD, BACKWARD = range(len(TASKS))
FINITE = OnlineBlock._fields.index("finite")


def lane_epoch(dtype: str, nonlinearity: str, rows: int, vecs: int) -> Callable:
    """Training in mini-batches, samples in lanes."""
    cell, shape = CELLS[nonlinearity], Shape(dtype, rows, vecs)

    def program(
        sizes,
        offsets,
        work,
        x,
        y,
        order,
        n,
        samples,
        batch,
        loss,
        parameters,
        gradients,
        velocity,
        n_parameters,
        learning_rate,
        momentum,
        result,
    ):
        """Visit samples ``order[:n]``, `batch` at a time, with an update after each batch.

        With `n_parameters` = 0 there are no updates: `gradients` holds those of the last batch.

        result : [sum of losses, samples predicted right, samples visited]; a loss that is not
        finite ends the epoch before its update.
        """
        sizes = load_sizes(LaneSizes, sizes)
        buffers = load_buffers(LaneBuffers, work, offsets)
        prepare(shape, sizes, buffers)
        for b in range((n + batch - 1) // batch):  # a range of unknown step could raise
            first = b * batch
            here = min(batch, n - first)
            pack_weights(shape, sizes, buffers, parameters)
            batch_gradients(
                cell,
                shape,
                sizes,
                buffers,
                (x, y, samples),
                order + first,
                here,
                loss,
                gradients,
                result,
            )
            result[2] += here
            if not math.isfinite(result[0]):
                break
            sgd(parameters, gradients, velocity, n_parameters, learning_rate, momentum)

    return program


def predictions(dtype: str, nonlinearity: str, rows: int, vecs: int) -> Callable:
    """Logits, samples in lanes: the same bits for a sample alone and in any company."""
    cell, shape = CELLS[nonlinearity], Shape(dtype, rows, vecs)

    def program(sizes, offsets, work, x, order, n, samples, parameters, out):
        """``out`` (n, O) = the logits of samples ``order[:n]``."""
        sizes = load_sizes(LaneSizes, sizes)
        buffers = load_buffers(LaneBuffers, work, offsets)
        _, lanes = size(shape)
        prepare(shape, sizes, buffers)
        pack_weights(shape, sizes, buffers, parameters)
        for first in range(0, n, lanes):
            here = min(lanes, n - first)
            choose_samples(shape, order + first, here, samples, buffers.weights, 1.0)
            load_inputs(shape, sizes, buffers, x, samples)
            forward(cell, shape, sizes, buffers)
            for v in range(here):
                for o in range(sizes.O):
                    out[(first + v) * sizes.O + o] = buffers.logits[o * lanes + v]

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


def unit_epoch(dtype: str, nonlinearity: str, partial: int, vecs: int) -> Callable:
    """Training on one sample at a time, or on very few, units in lanes."""
    cell, (sums, row, tile, one) = CELLS[nonlinearity], unit_shapes(dtype, partial, vecs)

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
        velocity,
        learning_rate,
        momentum,
        result,
    ):
        """As `lane_epoch`."""
        sizes = load_sizes(UnitSizes, sizes)
        buffers = load_buffers(UnitBuffers, work, offsets)
        prepare_units(sizes, buffers)
        pad(sizes, parameters, buffers.w)
        pad(sizes, velocity, buffers.velocity)
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
                unit_backward(cell, sums, row, sizes, buffers)
                unit_gradients(sums, row, tile, sizes, buffers, i == 0)
            result[2] += here
            if not math.isfinite(result[0]):
                break
            sgd(buffers.w, buffers.dw, buffers.velocity, sizes.parameters, learning_rate, momentum)
        unpad(sizes, buffers.w, parameters)
        unpad(sizes, buffers.velocity, velocity)

    return program


def online_step(dtype: str, nonlinearity: str, partial: int, vecs: int) -> Callable:
    """One sequence, units in lanes: forward, or backward with an update."""
    cell, (sums, row, tile, one) = CELLS[nonlinearity], unit_shapes(dtype, partial, vecs)
    real, largest = row.dtype, float(np.finfo(dtype).max)

    def program(block):
        """Do the task that the `OnlineBlock` names.

        Forward: outputs of the sequence x, or, if it is not finite, the last one put back into x.
        Backward: the exact gradient of its loss, and a step of descent.  One argument, since
        converting twelve costs as much as the arithmetic.
        """
        step = load_sizes(OnlineBlock, block)
        sizes = load_sizes(UnitSizes, pointer(step.sizes, int64))
        offsets = pointer(step.offsets, int64)
        buffers = load_buffers(UnitBuffers, pointer(step.work, real), offsets)
        parameters = pointer(step.parameters, real)
        if step.task == PREPARE:
            prepare_units(sizes, buffers)
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
            sgd(parameters, gradients, gradients, n, learning_rate, 0.0)

    return program
