"""Compiled losses of logits and their gradients, samples in lanes; `maths` has each of them."""

from __future__ import annotations

import functools

from numba import int64, types

from ..jit import kernel, kernel_named, overloads
from ..simd import fill, load, marker, marker_type, store, where_less, width
from .loss import LOSSES, LossNumbers

N_NUMBERS = len(LossNumbers._fields)
NUMBERS = LossNumbers(*range(N_NUMBERS))


class Marker:
    """A loss as a value that kernels hand on; `marker_of` makes it."""

    def __init__(self, name: str):
        self.loss = LOSSES[name]


class LossType(types.Type):
    """Numba's type of a `Marker`."""

    def __init__(self, value: Marker):
        self.loss = value.loss
        super().__init__(f"Loss({self.loss.name})")


marker(Marker, LossType)
marker_type(LossType)
marker_of = functools.cache(Marker)


def evaluate(loss, logits, targets, weight, options, ld, O):
    """Return loss and hit of a register of samples; write the gradient."""
    raise NotImplementedError


@overloads(evaluate)
def _evaluate(loss, logits, targets, weight, options, ld, O):
    function = kernel_named(loss.loss.kernel)
    return lambda loss, logits, targets, weight, options, ld, O: function(
        logits, targets, weight, options, ld, O
    )


def outputs(loss, logits, out, O):
    """Write the outputs (O,) of the logits in lane 0."""
    raise NotImplementedError


@overloads(outputs)
def _outputs(loss, logits, out, O):
    function = kernel_named(loss.loss.output_kernel)
    return lambda loss, logits, out, O: function(logits, out, O)


@kernel
def loss_and_gradient(loss, job):
    """Losses of the samples of a `LossJob`; the gradient takes the place of the logits.

    A sample's loss is the mean over its values that are not missing.
    """
    numbers, logits, lanes, O = job.numbers, job.logits, job.lanes, job.O
    if numbers[NUMBERS.skips] > 0.0 or numbers[NUMBERS.outputs] < O:
        by_values(loss, job)
        return
    options = numbers + N_NUMBERS
    for v in range(0, lanes, width(logits)):
        weight = load(job.weights + v) * job.scale
        value, hit = evaluate(loss, logits + v, job.targets + v, weight, options, lanes, O)
        store(job.losses + v, value)
        store(job.hits + v, hit)


@kernel
def by_values(loss, job):
    """As `loss_and_gradient`, value by value; a target that is NaN does not count if so chosen."""
    numbers, logits, lanes, O = job.numbers, job.logits, job.lanes, job.O
    options, skips = numbers + N_NUMBERS, numbers[NUMBERS.skips] > 0.0
    height = int64(numbers[NUMBERS.outputs])
    values = O // height
    for v in range(0, lanes, width(logits)):
        z, y = logits + v, job.targets + v
        n = fill(logits, 1.0 * values)
        if skips:
            n = count_present(y, lanes, values)
        weight = load(job.weights + v) * job.scale / n
        value, hit = fill(logits, 0.0), fill(logits, 0.0)
        for _ in range(values):
            target = load(y)
            counts = is_number(target)
            if skips:
                store(y, where_less(0.5, counts, target, 0.0))
            else:
                counts = fill(logits, 1.0)
            one, right = evaluate(loss, z, y, weight * counts, options, lanes, height)
            value = value + where_less(0.5, counts, one, 0.0)
            hit = hit + where_less(0.5, counts, right, 0.0)
            z, y = z + height * lanes, y + lanes
        value, hit = value / n, hit / n
        if numbers[NUMBERS.labels] > 0.0:
            hit = where_less(hit, 1.0, 0.0, hit)
        store(job.losses + v, value)
        store(job.hits + v, hit)


@kernel(inline=True)
def is_number(y):
    """1 where y is a number, 0 where it is NaN."""
    return where_less(y, 0.0, 1.0, where_less(-1.0, y, 1.0, 0.0))


@kernel
def count_present(targets, ld, n):
    """Numbers among n targets of each sample, at least 1."""
    found = fill(targets, 0.0)
    for p in range(n):
        found = found + is_number(load(targets + p * ld))
    return where_less(found, 1.0, 1.0, found)
