"""The program of one sequence at a time: forward, then backward with an update."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import int64

from ...cells.kernels import marker_of
from ...jit import kernel
from ...layout.batch_records import BatchJob
from ...layout.unit_records import STEP_TASKS, StepJob
from ...optimizers.updates import descend_plainly
from ...simd import typed_view, view, width
from ..batch.readout import total_weight
from ..batch.samples import choose_samples
from ..loss import put_out
from .products import tiles_of
from .program import gradients_back
from .readout import load_top, logits_of, rows_of
from .recurrence import forward
from .states import begin
from .weights import move_rows, turn_weights
from .workspace import prepare, space_of

PREPARE, FORWARD, BACKWARD, GRADIENTS = range(len(STEP_TASKS))


@kernel
def take_in(x, n, largest, to):
    """Copy n doubles to the network's reals, if all are finite there; return whether they are."""
    sound = int64(1)
    for i in range(n):
        if not abs(x[i]) <= largest:
            sound = int64(0)
    if sound:
        for i in range(n):
            to[i] = x[i]
    else:  # back to those of the last time
        for i in range(n):
            x[i] = to[i]
    return sound


@kernel
def store_outputs(tiles, space, job, out):
    """Write the outputs (T or 1, O) of the sequence, from its logits."""
    sizes, L = space.sizes, width(space.buffers.top)
    rows, lanes = rows_of(space, sizes.T)
    for first in range(0, rows, L):
        n = min(L, rows - first)
        load_top(space, sizes.T, first, n, lanes)
        logits = logits_of(tiles, space, first, n, lanes)
        for v in range(n):
            put_out(job, logits + v, out + (first + v) * sizes.O, sizes.O)


def unit_step(dtype: str, cell_name: str, rows: int, vecs: int, steps: int, grads: int) -> Callable:
    """One sequence: forward, or backward with an update."""
    cell, tiles = marker_of(cell_name), tiles_of(dtype, rows, vecs, steps, grads)
    largest = float(np.finfo(dtype).max)

    def program(record):
        """Do the task that the `StepJob` names.

        Forward: outputs of the sequence x; if x is not finite, restore the last one instead.
        Gradients: the exact gradient of the loss.  Backward: this, and a step of descent.
        """
        step = view(StepJob, record)
        job = typed_view(BatchJob, step.job, tiles.read)
        space = space_of(job)
        sizes, T = space.sizes, space.sizes.T
        block = choose_samples(
            sizes.samples, space.buffers, job, job.order, int64(0), int64(1), int64(0), T
        )
        if step.task == PREPARE:
            prepare(space)
        elif step.task == FORWARD:
            record[IS_FINITE] = take_in(step.x, step.n, largest, job.x)
            if record[IS_FINITE]:
                move_rows(sizes, space.buffers.w, job.parameters, False)
                turn_weights(tiles, space)
                zero = begin(space, job, int64(0))
                forward(cell, tiles, space, job, block, zero, int64(0))
                store_outputs(tiles, space, job, step.outputs)
        else:
            factor = 1.0 / total_weight(sizes, job, job.order, int64(1), int64(0))
            gradients_back(cell, tiles, space, job, block, factor, int64(0), 0.0)
            move_rows(sizes, space.buffers.dw, job.gradients, True)
            if step.task == BACKWARD:
                descend_plainly(job.parameters, job.gradients, job.update, step.learning_rate[0])

    return program


IS_FINITE = StepJob._fields.index("is_finite")
