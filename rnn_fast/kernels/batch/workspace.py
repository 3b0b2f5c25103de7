"""Sizes and work memory of the batch driver, and the values in it that never change."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...jit import kernel
from ...layout.batch_records import BatchBuffers, BatchSizes, RunBuffers, RunSizes
from ...simd import buffers_of, exists, size, view
from .matrices import clear

N_RUN_SIZES, N_RUN_BUFFERS = len(RunSizes._fields), len(RunBuffers._fields)


class Space(NamedTuple):
    """Sizes and work memory."""

    sizes: Any  # BatchSizes
    buffers: Any  # BatchBuffers
    work: Any  # of this thread
    weights: Any  # packed, read by all threads


@kernel
def space_of(job):
    """`Space` of a `BatchJob`."""
    sizes = view(BatchSizes, job.sizes)
    buffers = buffers_of(BatchBuffers, job.work, job.offsets)
    return Space(sizes, buffers, job.work, job.packed)


@kernel
def tail_space_of(job):
    """`Space` of the narrower tile that takes a small last block."""
    sizes = view(BatchSizes, job.tail_sizes)
    buffers = buffers_of(BatchBuffers, job.work, job.tail_offsets)
    return Space(sizes, buffers, job.work, job.packed)


@kernel
def kept_space(space, job, b):
    """`Space` of block b of a batch, whose states are kept from stage to stage."""
    if exists(job.kept):
        kept = job.kept + (b * job.kept_step - space.sizes.places[0])
        return Space(space.sizes, space.buffers, kept, space.weights)
    return space


@kernel
def is_tail(job, tail, n):
    """Return whether a block of n samples runs with the narrower tile."""
    _, lanes = size(tail)
    return exists(job.tail_sizes) and n <= lanes


@kernel
def run_sizes(space, run):
    """`RunSizes` of a run."""
    return view(RunSizes, space.sizes.runs + run * N_RUN_SIZES)


@kernel
def run_buffers(space, run):
    """`RunBuffers` of a run."""
    return buffers_of(RunBuffers, space.work, space.sizes.places + run * N_RUN_BUFFERS)


@kernel
def prepare(shape, space):
    """Write the ones, and initial states of zero: no other kernel writes them."""
    _, lanes = size(shape)
    sizes = space.sizes
    height = 1 + sizes.directions * sizes.H
    for r in range(sizes.layers * sizes.directions):
        run, own = run_sizes(space, r), run_buffers(space, r)
        clear(own.z, run.step)
        for t in range(sizes.T + 1):
            ones(own.z + (t * run.step + run.I * lanes), lanes)
        if sizes.states > 1:
            clear(own.c, sizes.H * lanes)
    if sizes.joined:
        for t in range(sizes.read):
            ones(space.buffers.top + t * height * lanes, lanes)


@kernel
def ones(p, n):
    """Write n ones."""
    for i in range(n):
        p[i] = 1.0
