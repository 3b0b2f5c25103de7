"""Programs of the units driver: an epoch of training, and predictions.

The argument is the address of a `BatchJob`, as of the batch driver, of which no threads, groups and
rounds are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from numba import int64

from ...cells.kernels import marker_of
from ...jit import kernel
from ...layout.batch_records import SUMS, BatchJob
from ...layout.descent import Part
from ...layout.stages import STAGES
from ...simd import address_of, exists, typed_view
from ..batch.embedding import add_embedding_gradient, update_embedding
from ..batch.matrices import clear
from ..batch.program import longest_of, share_of_a_step
from ..batch.readout import add_given, weight_of
from ..batch.samples import choose_samples, keyed_by_sample
from ..descent import call_descent, store_part
from .inputs import store_rows
from .products import tiles_of
from .readout import predict, read_out
from .recurrence import backward, forward
from .states import begin, store_hidden, store_states
from .weights import move_rows, turn_weights
from .workspace import prepare, run_of, space_of


@kernel
def pad_all(space, job):
    """Bring parameters, optimizer state and penalties to the driver's layout."""
    sizes, buffers, stride = space.sizes, space.buffers, job.update
    padded = sizes.parameters
    move_rows(sizes, buffers.w, job.parameters, False)
    for k in range(job.rows):
        move_rows(sizes, buffers.moments + k * padded, job.moments + k * stride, False)
    if exists(job.penalties):
        for k in range(2):
            move_rows(sizes, buffers.penalties + k * padded, job.penalties + k * stride, False)


@kernel
def unpad_all(space, job):
    """Bring parameters and optimizer state back."""
    sizes, buffers = space.sizes, space.buffers
    move_rows(sizes, buffers.w, job.parameters, True)
    for k in range(job.rows):
        moments = job.moments + k * job.update
        move_rows(sizes, buffers.moments + k * sizes.parameters, moments, True)


@kernel
def update_units(space, job, first, n, window, rate):
    """Step of descent from the gradients of a window of a batch."""
    sizes, buffers = space.sizes, space.buffers
    at, padded, record = sizes.embedding_at, sizes.parameters, job.descent
    penalized = exists(job.penalties)
    part = Part(
        parameters=buffers.w,
        gradients=buffers.dw,
        moments=buffers.moments,
        penalties=address_of(buffers.penalties) if penalized else int64(0),
        stride=padded,
        n=padded,
        n_gradients=padded,
    )
    store_part(record, int64(0), part)
    if sizes.embedding:  # it stays where it is
        rest = Part(
            parameters=job.parameters + at,
            gradients=job.gradients + at,
            moments=job.moments + at,
            penalties=address_of(job.penalties + at) if penalized else int64(0),
            stride=job.update,
            n=int64(0) if job.sparse else job.update - at,
            n_gradients=job.update - at,
        )
        store_part(record, int64(1), rest)
        call_descent(job, rate, int64(2))
        update_embedding(sizes, job, job.order + first, n, window, rate[0])
    else:
        call_descent(job, rate, int64(1))


@kernel
def gradients_back(cell, tiles, space, job, block, factor, window, share):
    """Losses of a block that has run forward, and the gradients of all parameters.

    `share` is that of a step in the penalty of the states.
    """
    sizes, buffers = space.sizes, space.buffers
    clear(buffers.dw, sizes.vectors)
    read_out(tiles, space, job, block, factor, job.result)
    to_state = (sizes.learned_state != 0 or exists(job.dstate)) and window == 0
    to_input = sizes.embedding != 0 or exists(job.dx)
    dx = backward(cell, tiles, space, job, block, to_state, to_input, share)
    store_input_gradients(space, job, block, dx)


@kernel
def window_gradients(cell, tiles, space, job, first, n, window, seed):
    """Gradient of the mean loss over a window of a batch; returns the weight of the window.

    A stage is half of that.
    """
    sizes, order = space.sizes, job.order + first
    weight = weight_of(sizes, job, order, n, window)
    factor = 1.0 / weight if weight > 0.0 else 0.0
    turn_weights(tiles, space)
    block = choose_samples(sizes.samples, space.buffers, job, order, int64(0), n, window, sizes.T)
    if block.T > 0 and job.stage != STAGES.backward:
        zero = begin(space, job, window)
        forward(cell, tiles, space, job, block, zero, seed)
        if exists(job.carry):
            store_states(space, block, block.T, block.ids.places, job.carry)
    if job.stage == STAGES.forward:
        write_outputs(tiles, space, job, block)
        return weight
    sums = job.result
    loss, hits, compared = sums[SUMS.loss], sums[SUMS.hits], sums[SUMS.weight]
    if block.T > 0 and factor > 0.0:
        share = 0.0
        if exists(job.activity):
            share = share_of_a_step(sizes, job, order, n, window)
        gradients_back(cell, tiles, space, job, block, factor, window, share)
    else:
        clear(space.buffers.dw, sizes.parameters)
    if exists(job.given):  # the products of outputs and gradients are no losses
        sums[SUMS.loss], sums[SUMS.hits], sums[SUMS.weight] = loss, hits, compared
        add_given(job)
    if sizes.embedding and weight > 0.0:
        table = job.gradients + sizes.embedding_at
        add_embedding_gradient(sizes, job, order, n, window, table)
    return weight


@kernel
def write_outputs(tiles, space, job, block):
    """Write what a forward pass gives: logits, measures, states."""
    if space.sizes.O > 0:
        predict(tiles, space, job, block)
    if exists(job.hidden):
        store_hidden(space, job, block)
    if exists(job.final):
        store_states(space, block, block.T, block.ids.samples, job.final)


@kernel
def store_input_gradients(space, job, block, dx):
    """Write the gradients with respect to an embedding's rows, and to the inputs if asked for."""
    sizes, I = space.sizes, run_of(space, 0).I
    if sizes.embedding:
        rows = block.ids.chosen
        for b in range(block.n):
            rows[b] = block.ids.places[b] * sizes.T
        store_rows(space, block, rows, dx, sizes.dy_step, I, job.dtokens, I)
    if exists(job.dx):
        store_rows(space, block, block.ids.rows, dx, sizes.dy_step, I, job.dx, I)


@kernel
def train_batch(cell, tiles, space, job, b):
    """Train on batch b of the order, or do a stage of it; return whether the loss is finite."""
    result, first = job.result, b * job.batch
    n = min(job.batch, job.n - first)
    longest, window = longest_of(job, first, n), job.window
    while window < longest:
        seed = job.seed + int64(result[SUMS.windows])
        if job.stage != STAGES.forward:
            result[SUMS.windows] += 1.0
        weight = window_gradients(cell, tiles, space, job, first, n, window, seed)
        if not math.isfinite(result[SUMS.loss]):
            return False
        if job.stage == STAGES.forward:
            return True
        if job.update and weight > 0.0:
            update_units(space, job, first, n, window, job.schedule + b)
        window += space.sizes.T
        if job.stage == STAGES.backward:
            break
    if window >= longest:
        result[SUMS.batches] += 1.0
    return True


def unit_epoch(
    dtype: str, cell_name: str, rows: int, vecs: int, steps: int, grads: int
) -> Callable:
    """Training in small batches."""
    cell, tiles = marker_of(cell_name), tiles_of(dtype, rows, vecs, steps, grads)

    def program(job):
        """Visit the samples of the `BatchJob`, as `kernels.batch.program.batch_epoch`."""
        job = typed_view(BatchJob, job, tiles.read)
        space = space_of(job)
        if job.stage != STAGES.backward:
            prepare(space)
        pad_all(space, job)
        for b in range((job.n + job.batch - 1) // job.batch):
            if not train_batch(cell, tiles, space, job, b):
                break
        if job.stage == STAGES.forward:
            return
        if job.update:
            unpad_all(space, job)
        else:
            move_rows(space.sizes, space.buffers.dw, job.gradients, True)

    return program


def unit_predictions(
    dtype: str, cell_name: str, rows: int, vecs: int, steps: int, grads: int
) -> Callable:
    """Logits and measures: a sample has the bits that the batch driver gives it."""
    cell, tiles = marker_of(cell_name), tiles_of(dtype, rows, vecs, steps, grads)

    def program(job):
        """Predict the samples of the `BatchJob`, as `kernels.batch.program.predictions`."""
        job = typed_view(BatchJob, job, tiles.read)
        space = space_of(job)
        sizes, start = space.sizes, int64(0)
        prepare(space)
        move_rows(sizes, space.buffers.w, job.parameters, False)
        turn_weights(tiles, space)
        block = choose_samples(
            sizes.samples, space.buffers, job, job.order, start, job.n, start, sizes.T
        )
        zero = begin(space, job, start)
        forward(cell, tiles, space, job, keyed_by_sample(block), zero, job.seed)
        write_outputs(tiles, space, job, block)

    return program
