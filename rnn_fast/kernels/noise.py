"""Noise of a training: normal numbers of a seed, a sample's place, a step and a row.

They depend on nothing else, so that they are the same however samples are spread over lanes,
threads and drivers.  A job has two standard deviations, of the inputs and of the pre-activations,
or a null pointer.
"""

from __future__ import annotations

from numba import int64

from ..jit import kernel
from ..simd import (
    exists,
    first,
    fma,
    lane_uniforms,
    load,
    root,
    size,
    store,
    unit_uniforms,
    where_less,
    width,
)
from ..simd.vector_math import log1p
from .counter import mixed

INPUTS, ROWS = 0, 1  #: places of the two standard deviations
#: between the seeds of inputs, minus one, and of runs, 1, 2, ...: an arbitrary odd number
RUN = 0x5851_F42D_4C95_7F2D


@kernel
def deviation(job, which):
    """Return the standard deviation of a kind of noise, or 0."""
    return job.noise[which] if exists(job.noise) else 0.0


@kernel
def normal(x):
    """A normal number of x uniform in (-1, 1), ``sqrt(2) erfinv(x)``; relative error 4e-7.

    Giles, Approximating the erfinv function, GPU Computing Gems 2 (2010), in single precision.
    """
    # w = -log((1 - x) (1 + x)), of which x**2 is all that matters near 0
    squared = x * x
    w = log1p(squared / (1.0 - squared))
    near = w - 2.5
    p = fma(near, 2.81022636e-08, 3.43273939e-07)
    p = fma(near, p, -3.5233877e-06)
    p = fma(near, p, -4.39150654e-06)
    p = fma(near, p, 0.00021858087)
    p = fma(near, p, -0.00125372503)
    p = fma(near, p, -0.00417768164)
    p = fma(near, p, 0.246640727)
    p = fma(near, p, 1.50140941)
    far = root(w) - 3.0
    q = fma(far, -0.000200214257, 0.000100950558)
    q = fma(far, q, 0.00134934322)
    q = fma(far, q, -0.00367342844)
    q = fma(far, q, 0.00573950773)
    q = fma(far, q, -0.0076224613)
    q = fma(far, q, 0.00943887047)
    q = fma(far, q, 1.00167406)
    q = fma(far, q, 2.83297682)
    return where_less(w, 5.0, p, q) * x * 1.4142135623730951


# ------------------------------------------------------------------------------ samples in lanes


@kernel
def lane_keys(shape, block, seed):
    """Write a key for each lane's sample to the room for chosen rows."""
    _, lanes = size(shape)
    keys = block.ids.chosen
    for v in range(lanes):
        keys[v] = int64(mixed(seed, block.ids.places[v]))


@kernel
def add_lane_noise(shape, block, counter, rows, std, p):
    """p (rows, lanes) += noise; row j has the counter ``counter + j``."""
    _, lanes = size(shape)
    keys = block.ids.chosen
    for j in range(rows):
        for v in range(0, lanes, width(p)):
            at = p + (j * lanes + v)
            noise = normal(lane_uniforms(at, counter + j, keys + v))
            store(at, fma(std, noise, load(at)))


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
        p[i] += std * first(normal(unit_uniforms(p, counter + i, key)))
