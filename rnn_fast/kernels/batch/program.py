"""Programs of the batch driver: an epoch of training, and predictions, each one compiled call.

A program's argument is the address of a `BatchJob` that `engine` has filled; `layout` says what
stands where.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from numba import float64, int64

from ...cells.kernels import marker_of
from ...jit import kernel
from ...layout.batch_records import PARTIAL, SUMS, TEAM, BatchJob, Task
from ...layout.descent import Part
from ...layout.stages import STAGES
from ...simd import Shape, exists, pointer, size, store_record, typed_view
from ..descent import call_descent, store_part
from ..team import OVER, close_phase, end_work, finish, open_phase, rest, take
from .embedding import add_embedding_gradient, update_embedding
from .gradients import take_part, write_outputs
from .matrices import add_up, pack_weights
from .readout import add_given, weight_of
from .recurrence import forward
from .samples import choose_samples, keyed_by_sample
from .states import state_before
from .workspace import is_tail, prepare, space_of, tail_space_of


@kernel
def window_gradients(cell, shape, space, tail, tail_space, job, first, n, window, seed):
    """Gradient of the mean loss over a window of a batch; returns the weight of the window."""
    _, lanes = size(shape)
    sizes, sync, order = space.sizes, job.team, job.order + first
    weight = weight_of(sizes, job, order, n, window)
    factor = pointer(sync, float64) + TEAM.factor
    factor[0] = 1.0 / weight if weight > 0.0 else 0.0
    if exists(job.activity):
        share = pointer(sync, float64) + TEAM.share
        share[0] = share_of_a_step(sizes, job, order, n, window)
    blocks = (n + lanes - 1) // lanes
    if blocks > 1 or not is_tail(job, tail, n):
        pack_weights(shape, sizes, job.parameters, space.weights)
    if is_tail(job, tail, n - (blocks - 1) * lanes):
        pack_weights(tail, tail_space.sizes, job.parameters, space.weights)
    groups, forwards = min(blocks, job.groups), job.stage == STAGES.forward
    begin = int64(0)
    while begin < blocks:  # a range of unknown step could raise
        end = min(blocks, begin + job.round)
        items = min(end - begin, groups)
        task = Task(first, n, window, seed, begin, end, items, job.stage)
        store_record(sync + TEAM.task, task)
        open_phase(sync, items)
        take_part(cell, shape, space, tail, tail_space, job, sync, False)
        close_phase(sync, items)
        if not forwards and sizes.embedding and weight > 0.0:
            table, at = job.gradients + sizes.embedding_at, begin * lanes
            add_embedding_gradient(sizes, job, order + at, min(n, end * lanes) - at, window, table)
        begin = end
    if forwards:
        return weight
    if exists(job.given):
        add_given(job)
    for g in range(0 if exists(job.given) else groups):
        partial = job.partial + g * PARTIAL
        job.result[SUMS.loss] += partial[SUMS.loss]
        job.result[SUMS.hits] += partial[SUMS.hits]
        job.result[SUMS.weight] += partial[SUMS.weight]
    if exists(job.activity):
        for g in range(groups):
            job.result[SUMS.penalty] += job.partial[g * PARTIAL + SUMS.penalty]
    add_up(job.flats, groups, job.stride, sizes.embedding_at, job.gradients)
    return weight


@kernel
def update(sizes, job, first, n, window, rate):
    """Step of descent from the gradients of a window of a batch."""
    length = job.update
    part = Part(
        parameters=job.parameters,
        gradients=job.gradients,
        moments=job.moments,
        penalties=job.penalties,
        stride=length,
        n=sizes.embedding_at if job.sparse else length,
        n_gradients=length,
    )
    store_part(job.descent, int64(0), part)
    call_descent(job, rate, int64(1))
    if sizes.embedding:
        update_embedding(sizes, job, job.order + first, n, window, rate[0])


@kernel
def share_of_a_step(sizes, job, order, n, window):
    """1 over the number of steps that the samples of a batch have in a window."""
    steps = int64(0)
    for i in range(n):
        steps += max(int64(0), min(job.lengths[order[i]] - window, sizes.T))
    return 1.0 / steps if steps > 0 else 0.0


@kernel
def longest_of(job, first, n):
    """Steps of the longest of n samples from place `first` of the order."""
    longest = int64(0)
    for i in range(first, first + n):
        longest = max(longest, job.lengths[job.order[i]])
    return longest


@kernel
def train_batch(cell, shape, space, tail, tail_space, job, b):
    """Train on batch b of the order, or do a stage of it; return whether the loss is finite."""
    result, first = job.result, b * job.batch
    n = min(job.batch, job.n - first)
    longest, window = longest_of(job, first, n), job.window
    while window < longest:
        seed = job.seed + int64(result[SUMS.windows])
        if job.stage != STAGES.forward:
            result[SUMS.windows] += 1.0
        weight = window_gradients(cell, shape, space, tail, tail_space, job, first, n, window, seed)
        if not math.isfinite(result[SUMS.loss]):
            return False
        if job.stage == STAGES.forward:
            return True
        if job.update and weight > 0.0:
            update(space.sizes, job, first, n, window, job.schedule + b)
        window += space.sizes.T
        if job.stage == STAGES.backward:
            break
    if window >= longest:
        result[SUMS.batches] += 1.0
    return True


def batch_epoch(
    dtype: str, cell_name: str, rows: int, vecs: int, numbers: int, narrow: int
) -> Callable:
    """Training in mini-batches, with register tiles of rows x vecs vectors of `numbers`.

    A small last block has tiles of rows x `narrow` vectors; 0: as the others.
    """
    cell = marker_of(cell_name)
    shape, tail = Shape(dtype, rows, vecs, numbers), Shape(dtype, rows, narrow or vecs, numbers)

    def program(job):
        """Visit the samples of the `BatchJob`, `batch` at a time, with an update after each batch.

        With a carry, a batch is run in windows of T steps, each with its own update, and states go
        from one to the next: truncated back-propagation.  A loss that is not finite ends the epoch
        before its update.  A stage is half of one window, see `Stages`.
        """
        job = typed_view(BatchJob, job, shape)
        space, tail_space = space_of(job), tail_space_of(job)
        prepare(shape, space)
        if exists(job.tail_sizes):
            prepare(tail, tail_space)
        if job.helps:
            take_part(cell, shape, space, tail, tail_space, job, job.team, True)
            return
        for b in range((job.n + job.batch - 1) // job.batch):  # a range of unknown step could raise
            if not train_batch(cell, shape, space, tail, tail_space, job, b):
                break
        end_work(job.team)

    return program


@kernel
def predict_block(cell, shape, space, job, first, n):
    """Predict n samples from place `first` of the order."""
    _, lanes = size(shape)
    sizes = space.sizes
    state = state_before(lanes, sizes, job, int64(0))
    block = choose_samples(lanes, space.buffers, job, job.order, first, n, int64(0), sizes.T)
    forward(cell, shape, space, job, keyed_by_sample(block), state, job.seed)
    write_outputs(shape, space, job, block)


@kernel
def predict_blocks(cell, shape, space, tail, tail_space, job):
    """Predict blocks of samples while there are any; a helper waits for the first."""
    _, lanes = size(shape)
    rests = 0
    while True:
        item = take(job.team)
        if item >= 0:
            first = item * lanes
            n = min(lanes, job.n - first)
            if is_tail(job, tail, n):
                predict_block(cell, tail, tail_space, job, first, n)
            else:
                predict_block(cell, shape, space, job, first, n)
            finish(job.team)
            rests = 0
        elif item == OVER or not job.helps:
            return
        else:
            rests = rest(job.team, rests)


def predictions(
    dtype: str, cell_name: str, rows: int, vecs: int, numbers: int, narrow: int
) -> Callable:
    """Logits and measures: a sample has the same bits alone and in any company."""
    cell = marker_of(cell_name)
    shape, tail = Shape(dtype, rows, vecs, numbers), Shape(dtype, rows, narrow or vecs, numbers)

    def program(job):
        """Predict the samples of the `BatchJob`.

        ``out`` = their logits, ``sums`` += their losses, hits and weights, ``final`` = their last
        states.
        """
        job = typed_view(BatchJob, job, shape)
        space, tail_space = space_of(job), tail_space_of(job)
        _, lanes = size(shape)
        prepare(shape, space)
        if exists(job.tail_sizes):
            prepare(tail, tail_space)
        if job.helps:
            predict_blocks(cell, shape, space, tail, tail_space, job)
            return
        pack_weights(shape, space.sizes, job.parameters, space.weights)
        if exists(job.tail_sizes):
            pack_weights(tail, tail_space.sizes, job.parameters, space.weights)
        blocks = (job.n + lanes - 1) // lanes
        open_phase(job.team, blocks)
        predict_blocks(cell, shape, space, tail, tail_space, job)
        close_phase(job.team, blocks)
        end_work(job.team)

    return program
