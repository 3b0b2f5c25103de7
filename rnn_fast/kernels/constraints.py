"""The program of an update under constraints: that of `descent`, with projections around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import float64, int64

from ..jit import kernel
from ..layout.descent import PROJECTION, DescentJob, Projection
from ..simd import (
    Shape,
    call_program,
    fill,
    first,
    load,
    root,
    store,
    typed_view,
    where_less,
    width,
)
from .descent import part_of


@kernel
def hold(parameters, gradients, limits):
    """Note the parameters, and clear the gradients of those that no update may move."""
    n, L = limits.n, width(parameters)
    whole = n - n % L
    for i in range(0, whole, L):
        low, high = load(limits.lower + i), load(limits.upper + i)
        store(limits.kept + i, load(parameters + i))
        store(gradients + i, where_less(low, high, load(gradients + i), 0.0))
    for i in range(whole, n):
        limits.kept[i] = parameters[i]
        if not limits.lower[i] < limits.upper[i]:
            gradients[i] = 0.0


@kernel
def project(parameters, limits):
    """Move each parameter to the nearest value within its bounds, or back if there is none."""
    n, L = limits.n, width(parameters)
    whole = n - n % L
    for i in range(0, whole, L):
        low, high, p = load(limits.lower + i), load(limits.upper + i), load(parameters + i)
        inside = where_less(high, p, high, where_less(p, low, low, p))
        store(parameters + i, where_less(high, low, load(limits.kept + i), inside))
    for i in range(whole, n):
        low, high, p = limits.lower[i], limits.upper[i], parameters[i]
        inside = high if high < p else low if p < low else p
        parameters[i] = limits.kept[i] if high < low else inside


@kernel
def limit_norms(parameters, limits, shrunk):
    """Shrink each row that is longer than its limit to `shrunk` of that."""
    begin = int64(0)
    for r in range(limits.n_rows):
        end, longest, squares = limits.ends[r], limits.limits[r], 0.0
        for i in range(begin, end):
            p = float64(parameters[limits.places[i]])
            squares += p * p
        norm = first(root(fill(limits.limits, squares)))
        if norm > longest:
            for i in range(begin, end):
                parameters[limits.places[i]] *= shrunk * (longest / norm)
        begin = end


def constrained(dtype: str) -> Callable:
    """An update of all parameters under constraints."""
    shape = Shape(dtype, 1, 1)
    shrunk = 1.0 - 4.0 * float(np.finfo(dtype).eps)  # the norm stays below the limit when rounded

    def program(record):
        """Make the update of the `DescentJob`."""
        job = typed_view(DescentJob, record, shape)
        for k in range(job.n_parts):
            part = part_of(shape, record, k)
            limits = typed_view(Projection, job.constraints + k * PROJECTION, shape)
            hold(part.parameters, part.gradients, limits)
        call_program(job.descend, record)
        for k in range(job.n_parts):
            part = part_of(shape, record, k)
            limits = typed_view(Projection, job.constraints + k * PROJECTION, shape)
            project(part.parameters, limits)
            limit_norms(part.parameters, limits, shrunk)

    return program
