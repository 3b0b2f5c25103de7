"""Kernels of a declared cell: its functions of single numbers, taken over all numbers of a step.

A function gets the numbers of one unit and sample, each a Vec in truth, as a `Point`, and returns
new ones; the kernels load and store.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numba.extending import register_jitable

from ...jit import kernel, overloads
from ...jit.kernel import POLICY, pipeline
from ...simd import (
    absolute,
    add_rows,
    load,
    load_numbers,
    load_rows,
    root,
    store_rows,
    vector_math,
    where_less,
    width,
)
from .. import maths
from ..content import helpers_of
from ..point import Point, Slopes

# ------------------------------------------------------------------ functions that scripts import


@overloads(maths.tanh)
def _tanh(x):
    return lambda x: vector_math.tanh(x)


@overloads(maths.sigmoid)
def _sigmoid(x):
    return lambda x: vector_math.sigmoid(x)


@overloads(maths.relu)
def _relu(x):
    return lambda x: where_less(x, 0.0, 0.0, x)


@overloads(maths.exp)
def _exp(x):
    return lambda x: vector_math.exp(x)


@overloads(maths.log1p)
def _log1p(x):
    return lambda x: vector_math.log1p(x)


@overloads(maths.sqrt)
def _sqrt(x):
    return lambda x: root(x)


@overloads(maths.absolute)
def _absolute(x):
    return lambda x: absolute(x)


@overloads(maths.where_less)
def _where_less(a, b, x, y):
    return lambda a, b, x, y: where_less(a, b, x, y)


@functools.cache
def compiled(function: Callable[..., Any]) -> Any:
    """Return a script's function as a kernel; compiled code then knows its helpers."""
    for helper in helpers_of(function):
        register_jitable(forceinline=True, pipeline_class=pipeline(), **POLICY)(helper)
    return kernel(function, inline=True)


# -------------------------------------------------------------------------------- what comes in


def rows_at(cell, p, step):
    """A tuple of all rows of a_t."""
    raise NotImplementedError


def vectors_at(cell, p, step):
    """A tuple of the vectors that no row takes as its bias."""
    raise NotImplementedError


def gradients_at(cell, p, step):
    """A tuple of all rows of da_t."""
    raise NotImplementedError


def options_of(cell, p):
    """A tuple of the cell's options."""
    raise NotImplementedError


def memory(cell, c, h):
    """Pointer to c of a cell with memory; h of others, whose maths does not read it."""
    raise NotImplementedError


@overloads(rows_at)
def _rows_at(cell, p, step):
    n = len(cell.spec.rows)
    return lambda cell, p, step: load_rows(p, step, n)


@overloads(vectors_at)
def _vectors_at(cell, p, step):
    n = sum(count for _, count in cell.spec.elementwise_vectors)
    return lambda cell, p, step: load_rows(p, step, n)


@overloads(options_of)
def _options_of(cell, p):
    n = len(cell.spec.options)
    return lambda cell, p: load_numbers(p, n)


@overloads(gradients_at)
def _gradients_at(cell, p, step):
    n = cell.spec.n_grads
    return lambda cell, p, step: load_rows(p, step, n)


@overloads(memory)
def _memory(cell, c, h):
    return (lambda cell, c, h: c) if cell.spec.has_memory else (lambda cell, c, h: h)


@kernel(inline=True)
def point_of(cell, step, j):
    """The `Point` of the numbers j; what the maths does not use is not loaded."""
    return Point(
        rows_at(cell, step.a + j, step.n),
        load(step.h_prev + j),
        load(step.h + j),
        load(memory(cell, step.c_prev, step.h_prev) + j),
        load(memory(cell, step.c, step.h) + j),
        vectors_at(cell, step.vectors + j, step.n),
        options_of(cell, step.options),
    )


@kernel(inline=True)
def slopes_of(cell, grads, j, da):
    """The `Slopes` of the numbers j."""
    dh = load(grads.dh + j)
    return Slopes(da, dh, load(memory(cell, grads.dc, grads.dh) + j), load(grads.dlate + j))


# -------------------------------------------------------------------------------- what comes out


def states_of(cell, out):
    """(h,) of what forward returns, and (c,) or nothing."""
    raise NotImplementedError


def gradients_of(cell, out):
    """Of what backward returns: da; (dh,), (dc,) and dvectors, or nothing."""
    raise NotImplementedError


@overloads(states_of)
def _states_of(cell, out):
    if cell.spec.has_memory:
        return lambda cell, out: ((out[1],), (out[2],))
    return lambda cell, out: ((out[1],), ())


@overloads(gradients_of)
def _gradients_of(cell, out):
    carries, memory = cell.spec.carries, cell.spec.has_memory
    has_vectors = len(cell.spec.elementwise_vectors) > 0
    if not (carries or memory or has_vectors):
        return lambda cell, out: (out, (), (), ())
    c, v = 1 + carries, 1 + carries + memory
    dh = _part(1) if carries else _nothing
    dc = _part(c) if memory else _nothing
    dvectors = _whole(v) if has_vectors else _nothing
    return lambda cell, out: (out[0], dh(out), dc(out), dvectors(out))


@kernel(inline=True)
def _nothing(out):
    return ()


@functools.cache
def _part(place: int) -> Any:
    return kernel(lambda out: (out[place],), inline=True)


@functools.cache
def _whole(place: int) -> Any:
    return kernel(lambda out: out[place], inline=True)


# ----------------------------------------------------------------------------------- the kernels


def apply_maths(name: str) -> Callable[..., Any]:
    """Return a stub that calls the cell's function `name` in compiled code."""

    def stub(cell, arguments):
        raise NotImplementedError

    @overloads(stub)
    def _stub(cell, arguments):
        function = compiled(dict(cell.spec.maths)[name])
        return lambda cell, arguments: function(*arguments)

    return stub


reset_maths, forward_maths = apply_maths("reset"), apply_maths("forward")
backward_maths, reset_backward_maths = apply_maths("backward"), apply_maths("reset_backward")


@kernel
def reset(cell, step):
    """All rows of a_t, of which products meet one."""
    for j in range(0, step.n, width(step.a)):
        store_rows(step.a + j, step.n, reset_maths(cell, (point_of(cell, step, j),)))


@kernel
def forward(cell, step):
    """All rows of a_t, and h_t and c_t."""
    for j in range(0, step.n, width(step.a)):
        out = forward_maths(cell, (point_of(cell, step, j),))
        h, c = states_of(cell, out)
        store_rows(step.a + j, step.n, out[0])
        store_rows(step.h + j, step.n, h)
        store_rows(step.c + j, step.n, c)


@kernel
def backward(cell, step, grads):
    """da_t, the gradients of vectors; dh and dc become those before the step."""
    for j in range(0, step.n, width(step.a)):
        slopes = slopes_of(cell, grads, j, ())
        out = backward_maths(cell, (point_of(cell, step, j), slopes))
        da, dh, dc, dvectors = gradients_of(cell, out)
        store_rows(grads.da + j, step.n, da)
        store_rows(grads.dh + j, step.n, dh)
        store_rows(grads.dc + j, step.n, dc)
        add_rows(grads.dvectors + j, step.n, dvectors)


@kernel
def reset_backward(cell, step, grads):
    """The rest of da_t, and what the late product adds to dh and dc."""
    for j in range(0, step.n, width(step.a)):
        slopes = slopes_of(cell, grads, j, gradients_at(cell, grads.da + j, step.n))
        out = reset_backward_maths(cell, (point_of(cell, step, j), slopes))
        da, dh, dc, dvectors = gradients_of(cell, out)
        store_rows(grads.da + j, step.n, da)
        store_rows(grads.dh + j, step.n, dh)
        store_rows(grads.dc + j, step.n, dc)
        add_rows(grads.dvectors + j, step.n, dvectors)
