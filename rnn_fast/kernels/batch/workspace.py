"""Sizes and work memory of the batch driver, and what is set in it once."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import int64

from ...jit import kernel
from ...layout.batch_records import RunBuffers, RunSizes
from ...simd import load_buffers, load_record, pointer, size
from .matrices import clear

N_RUN_SIZES, N_RUN_BUFFERS = len(RunSizes._fields), len(RunBuffers._fields)


class Space(NamedTuple):
    """Sizes and work memory."""

    sizes: Any  # LaneSizes
    buffers: Any  # LaneBuffers
    work: Any  # this thread's
    weights: Any  # packed, which all threads read


@kernel
def run_sizes(space, run):
    """`RunSizes` of a run."""
    return load_record(RunSizes, pointer(space.sizes.runs, int64) + run * N_RUN_SIZES)


@kernel
def run_buffers(space, run):
    """`RunBuffers` of a run."""
    places = pointer(space.sizes.places, int64) + run * N_RUN_BUFFERS
    return load_buffers(RunBuffers, space.work, places)


@kernel
def prepare(shape, space):
    """Set what no other kernel writes: ones, and initial states of zero."""
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
    if sizes.directions > 1:
        for t in range(sizes.read):
            ones(space.buffers.top + t * height * lanes, lanes)


@kernel
def ones(p, n):
    """Write n ones."""
    for i in range(n):
        p[i] = 1.0
