"""The program of a stream: the next steps of some sequences, forward alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import int64

from ...cells.kernels import marker_of
from ...jit import kernel
from ...layout.batch_records import BatchJob
from ...layout.unit_records import STREAM_TASKS, StreamJob
from ...simd import typed_view, view
from ..batch.samples import choose_samples
from ..batch.states import State
from .online import take_in
from .products import tiles_of
from .readout import predict
from .recurrence import forward
from .states import carry_on, load_states, store_states
from .weights import move_rows, turn_weights
from .workspace import prepare, space_of

PREPARE, PACK, LOAD, STORE, RUN = range(len(STREAM_TASKS))
IS_FINITE = StreamJob._fields.index("is_finite")


@kernel
def chosen(space, job, first):
    """The block of all sequences, from step `first` on."""
    S, T = space.sizes.samples, space.sizes.T
    return choose_samples(S, space.buffers, job, job.order, int64(0), job.n, first, T)


@kernel
def run_windows(cell, tiles, space, job, T):
    """Write the logits of T steps."""
    first = int64(0)
    while first < T:  # a range of unknown step could raise
        block = chosen(space, job, first)
        forward(cell, tiles, space, job, block, False, int64(0))
        predict(tiles, space, job, block)
        carry_on(space, block.T)
        first += space.sizes.T


def unit_stream(
    dtype: str, cell_name: str, rows: int, vecs: int, steps: int, grads: int
) -> Callable:
    """Logits of the next steps, from states that stay where they are."""
    cell, tiles = marker_of(cell_name), tiles_of(dtype, rows, vecs, steps, grads)
    largest = float(np.finfo(dtype).max)

    def program(record):
        """Do the task that the `StreamJob` names.

        Run: ``out`` (samples, T, O) = the logits of the next T steps.  If x is not finite, nothing
        happens.  A step has the same bits alone and among others, and in both drivers.
        """
        stream = view(StreamJob, record)
        job = typed_view(BatchJob, stream.job, tiles.read)
        space = space_of(job)
        sizes = space.sizes
        if stream.task == PREPARE:
            prepare(space)
        elif stream.task == PACK:
            move_rows(sizes, space.buffers.w, job.parameters, False)
            turn_weights(tiles, space)
        elif stream.task == RUN:
            record[IS_FINITE] = take_in(stream.x, stream.n, largest, job.x)
            if record[IS_FINITE]:
                run_windows(cell, tiles, space, job, stream.T)
        else:
            block = chosen(space, job, int64(0))
            if stream.task == LOAD:
                stride = sizes.states * sizes.layers * sizes.H
                load_states(space, State(True, job.state, block.ids.samples, stride))
            else:
                store_states(space, block, int64(0), block.ids.samples, job.final)

    return program
