"""Noise of a training: normal numbers of a seed, a sample's place, a step and a row.

They depend on nothing else, so that they are the same however samples are spread over lanes,
threads and drivers.  A job has two standard deviations, of the inputs and of the pre-activations,
or a null pointer.
"""

from __future__ import annotations

from numba import int32, uint64

from ..jit import kernel
from ..simd import (
    exists,
    exponent,
    first,
    fma,
    horner,
    lane_uniforms,
    load,
    load_tile,
    one_row,
    pointer,
    size,
    store,
    store_tile,
    unit_uniforms,
    unscale,
    width,
)
from .counter import mixed

INPUTS, ROWS = 0, 1  #: places of the two standard deviations
#: between the seeds of inputs, minus one, and of runs, 1, 2, ...: an arbitrary odd number
RUN = 0x5851_F42D_4C95_7F2D


@kernel
def deviation(job, which):
    """Return the standard deviation of a kind of noise, or 0."""
    return job.noise[which] if exists(job.noise) else 0.0


# x times a polynomial in ``v = w / 8 - 1``, ``w = -log(1 - x**2)``, as of Giles, Approximating the
# erfinv function, GPU Computing Gems 2 (2010), but one for all w, up to 16: no branch, no root.
# Highest term first; least largest relative error, 3.1e-6 (Lawson's weights).
NORMAL = (
    *(-0.032297262705, 0.035185338050, 0.065298344846, -0.11327848776, 0.052715058546),
    *(-0.0037036487866, -0.050051693123, 0.17487562202, -0.45773076088, 1.9953840532),
    3.7638459579,
)
# ``-log(m) / 8 - 1`` of m in [1, 2), likewise; least largest error, 1.1e-6
LOG = (-0.00388800021, 0.0360924794, -0.14132823, 0.307652705, -0.441163082, -0.757366957)
LN2 = 0.6931471805599453


@kernel(inline=True)
def normal(x):
    """A normal number of x uniform in (-1, 1), ``sqrt(2) erfinv(x)``; relative error 7e-6.

    With fused multiplication 5.3e-6: the distribution function is off by at most 1.3e-6.
    """
    y = fma(-1.0 * x, x, 1.0)
    n = exponent(y)
    v = fma(n, -LN2 / 8, horner(unscale(y, n), *LOG))
    return x * horner(v, *NORMAL)


# ------------------------------------------------------------------------------ samples in lanes


@kernel
def lane_keys(shape, block, seed):
    """Write a key for each lane's sample, in two halves, to the room for chosen rows."""
    _, lanes = size(shape)
    keys = pointer(block.ids.chosen, int32)
    for v in range(lanes):
        key = mixed(seed, block.ids.places[v])
        keys[v], keys[lanes + v] = int32(key), int32(key >> uint64(32))


@kernel
def add_lane_noise(shape, block, counter, rows, std, p):
    """p (rows, lanes) += noise; row j has the counter ``counter + j``.

    A row at once: one register waits for its own results, with half ones 1.4 times as long.
    """
    _, lanes = size(shape)
    row, keys = one_row(shape), pointer(block.ids.chosen, int32)
    for j in range(rows):
        at = p + j * lanes
        noise = normal(lane_uniforms(row, counter + j, keys, keys + lanes))
        store_tile(at, lanes, fma(std, noise, load_tile(row, at, lanes)))


@kernel
def add_input_noise(shape, job, block, seed, I, z, step):
    """Add noise to the inputs of a block, the first I rows of each z_t."""
    std = deviation(job, INPUTS)
    if std > 0.0:
        lane_keys(shape, block, seed - RUN)
        for t in range(block.T):
            add_lane_noise(shape, block, t * I, I, std, z + t * step)


# -------------------------------------------------------------------------------- units in lanes


@kernel
def add_unit_noise(key, counter, n, std, p):
    """p (n,) += noise, n numbers in whole registers."""
    for j in range(0, n, width(p)):
        store(p + j, fma(std, normal(unit_uniforms(p + j, counter + j, key)), load(p + j)))


@kernel
def add_row_noise(key, counter, n, std, p):
    """p (n,) += noise, any n."""
    for i in range(n):
        p[i] = first(fma(std, normal(unit_uniforms(p, counter + i, key)), p[i]))
