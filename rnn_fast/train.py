"""Programs: an epoch of training, and predictions, each one compiled call.

A program's arguments are addresses and sizes that `compute` has made to fit; `layout` says what
stands where.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .cells import CELLS
from .layers.lanes import (
    batch_gradients,
    choose_samples,
    forward,
    load_inputs,
    pack_weights,
    prepare,
)
from .layout import LaneBuffers, LaneSizes
from .optimizers import sgd
from .simd import Shape, load_buffers, load_sizes, size


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
        """Visit samples ``order[:n]``, `batch` at a time, with an update after each batch unless
        `n_parameters` is 0.

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
