"""Sizes and work memory of the units driver, its samples, and the values that never change."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...jit import kernel
from ...layout.unit_records import UnitBuffers, UnitRun, UnitRunBuffers, UnitSizes
from ...simd import buffers_of, view
from ..batch.matrices import clear

N_RUN, N_RUN_BUFFERS = len(UnitRun._fields), len(UnitRunBuffers._fields)


class UnitSpace(NamedTuple):
    """Sizes and work memory."""

    sizes: Any  # UnitSizes
    buffers: Any  # UnitBuffers
    work: Any


@kernel
def space_of(job):
    """`UnitSpace` of a `BatchJob`."""
    sizes = view(UnitSizes, job.sizes)
    buffers = buffers_of(UnitBuffers, job.work, job.offsets)
    return UnitSpace(sizes, buffers, job.work)


@kernel
def run_of(space, run):
    """`UnitRun` of a run."""
    return view(UnitRun, space.sizes.runs + run * N_RUN)


@kernel
def buffers_of_run(space, run):
    """`UnitRunBuffers` of a run."""
    return buffers_of(UnitRunBuffers, space.work, space.sizes.places + run * N_RUN_BUFFERS)


@kernel
def prepare(space):
    """Write the ones, and initial states of zero: no other kernel writes them."""
    sizes = space.sizes
    for r in range(sizes.layers * sizes.directions):
        run, own = run_of(space, r), buffers_of_run(space, r)
        for row in range(sizes.T * sizes.samples):
            own.x[row * run.x_step + run.I] = 1.0
    clear_states(space)


@kernel
def clear_states(space):
    """Zero the initial states."""
    sizes = space.sizes
    n = sizes.samples * sizes.h_step
    for r in range(sizes.layers * sizes.directions):
        own = buffers_of_run(space, r)
        clear(own.h, n)
        if sizes.states > 1:
            clear(own.c, n)
