"""The program of an update: penalties, limits of the gradient, and a step of descent.

The drivers call it by its address, so that each of their programs exists once for all optimizers.
"""

from __future__ import annotations

from collections.abc import Callable

from ..jit import kernel
from ..layout.batch_records import SUMS
from ..layout.descent import DESCENT, PART, DescentJob, Part
from ..optimizers.kernels import begin, marker_of
from ..optimizers.optimizer import Limits
from ..optimizers.updates import descend, hypotenuse, limit, norm_of, penalize, scale
from ..simd import Shape, address_of, call_program, exists, load_record, store_record, typed_view

N_JOB = len(DESCENT)


@kernel
def call_descent(job, rate, n_parts):
    """Update the parts that a driver's job has stored, at the learning rate at the pointer `rate`.

    The job names the program, its record, and the sums to add to.
    """
    record = job.descent
    record[DESCENT.rate] = address_of(rate)
    record[DESCENT.result] = address_of(job.result)
    record[DESCENT.n_parts] = n_parts
    call_program(job.descend, record)


@kernel
def store_part(record, k, part):
    """Write part k of an update."""
    store_record(record + (N_JOB + k * PART), part)


@kernel
def part_of(shape, record, k):
    """Part k of an update."""
    return typed_view(Part, record + (N_JOB + k * PART), shape)


@kernel
def add_penalties(shape, record, n_parts):
    """Add the gradients of the penalties of all parts; return the sum of the penalties."""
    value = 0.0
    for k in range(n_parts):
        part = part_of(shape, record, k)
        if exists(part.penalties):
            value += penalize(part.parameters, part.gradients, part.penalties, part.n, part.stride)
    return value


@kernel
def clip(shape, record, n_parts, knobs):
    """Limit each gradient to ``+- clip_value``, then the norm of all to ``clip_norm``.

    As in PyTorch the factor is ``clip_norm / (|g| + 1e-6)``, if that is below 1.
    """
    limits = load_record(Limits, knobs)
    value, norm = limits.clip_value, limits.clip_norm
    if value > 0.0:
        for k in range(n_parts):
            part = part_of(shape, record, k)
            limit(part.gradients, part.n_gradients, value)
    if norm > 0.0:
        size = 0.0
        for k in range(n_parts):
            part = part_of(shape, record, k)
            own = norm_of(part.gradients, part.n_gradients, knobs)
            size = hypotenuse(size, own, knobs) if k > 0 else own
        factor = norm / (size + 1e-6)
        if factor < 1.0:
            for k in range(n_parts):
                part = part_of(shape, record, k)
                scale(part.gradients, part.n_gradients, factor)


def descent(dtype: str, optimizer_name: str) -> Callable:
    """An update of all parameters by an optimizer."""
    optimizer, shape = marker_of(optimizer_name), Shape(dtype, 1, 1)

    def program(record):
        """Make the update of the `DescentJob`."""
        job = typed_view(DescentJob, record, shape)
        n_parts, result = job.n_parts, job.result
        result[SUMS.penalty] += add_penalties(shape, record, n_parts)
        result[SUMS.updates] += 1.0
        clip(shape, record, n_parts, job.knobs)
        knobs = begin(optimizer, job.knobs)
        for k in range(n_parts):
            part = part_of(shape, record, k)
            descend(optimizer, part, job.rate[0], knobs, job.spare)

    return program
