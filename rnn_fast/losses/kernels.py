"""Compiled losses of logits and their gradients, samples in lanes.

`maths` has the losses.  A program holds every registered loss, and a run-time number chooses:
another loss compiles nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64, types

from ..jit import kernel, kernel_named, overloads
from ..simd import fill, load, marker, marker_type, size, store, where_less, width
from .loss import LOSSES, LossNumbers

N_NUMBERS = len(LossNumbers._fields)
NUMBERS = LossNumbers(*range(N_NUMBERS))


class Choice:
    """All registered losses, as a value that kernels hand on."""

    def __init__(self) -> None:
        self.losses = tuple(LOSSES.values())


class ChoiceType(types.Type):
    """Numba's type of a `Choice`."""

    def __init__(self, value: Choice):
        self.losses = value.losses
        super().__init__(f"Losses({', '.join(loss.name for loss in value.losses)})")


marker(Choice, ChoiceType)
marker_type(ChoiceType)


def loss_branch(losses: tuple[Any, ...], place: int = 0) -> Any:
    """Make the kernel of the losses from `place` on; an unknown number gives NaN."""
    if place == len(losses):

        @kernel(inline=True)
        def unknown(number, logits, targets, weight, options, ld, O):
            return fill(logits, np.nan), fill(logits, np.nan)

        return unknown
    here, further = kernel_named(losses[place].kernel), loss_branch(losses, place + 1)

    @kernel(inline=True)
    def branch(number, logits, targets, weight, options, ld, O):
        if number == place:
            return here(logits, targets, weight, options, ld, O)
        return further(number, logits, targets, weight, options, ld, O)

    return branch


def output_branch(losses: tuple[Any, ...], place: int = 0) -> Any:
    """Make the kernel of the outputs of the losses from `place` on."""
    if place == len(losses):

        @kernel
        def unknown(number, logits, out, O):
            for o in range(O):
                out[o] = np.nan

        return unknown
    here, further = kernel_named(losses[place].output_kernel), output_branch(losses, place + 1)

    @kernel
    def branch(number, logits, out, O):
        if number == place:
            here(logits, out, O)
        else:
            further(number, logits, out, O)

    return branch


def evaluate(choice, number, logits, targets, weight, options, ld, O):
    """Return loss and hit of a register of samples; write the gradient."""
    raise NotImplementedError


@overloads(evaluate)
def _evaluate(choice, number, logits, targets, weight, options, ld, O):
    function = loss_branch(choice.losses)
    return lambda choice, number, logits, targets, weight, options, ld, O: function(
        number, logits, targets, weight, options, ld, O
    )


def outputs(choice, loss, logits, out, O):
    """Write the outputs (O,) of the logits in lane 0; `loss` points to `LossNumbers`."""
    raise NotImplementedError


@overloads(outputs)
def _outputs(choice, loss, logits, out, O):
    function = output_branch(choice.losses)
    return lambda choice, loss, logits, out, O: function(int64(loss[NUMBERS.place]), logits, out, O)


@kernel
def loss_and_gradient(shape, choice, loss, logits, buffers, scale, O):
    """Loss of one block of samples; the gradient with respect to the logits takes their place.

    A sample's loss is the mean over its values that are not missing.

    Parameters
    ----------
    shape : Shape
        Its lanes are the samples.
    choice : Choice
    loss : pointer
        `LossNumbers`, then the loss's options.
    logits : pointer, (O, lanes)
        Read, and overwritten by the gradient.
    buffers : NamedTuple of pointers
        Read: ``targets`` (Y, lanes), where NaN that does not count becomes 0; ``weights`` (lanes),
        the weight of each sample.  Written: ``losses`` (lanes), unweighted; ``hits`` (lanes), 1
        where the prediction is right, else 0, and of values the squared error.
    scale : float
        Factor of all gradients.
    """
    _, lanes = size(shape)
    number, options = int64(loss[NUMBERS.place]), loss + N_NUMBERS
    if loss[NUMBERS.skips] > 0.0 or loss[NUMBERS.outputs] < O:
        by_values(shape, choice, loss, logits, buffers, scale, O)
        return
    for v in range(0, lanes, width(logits)):
        weight = load(buffers.weights + v) * scale
        targets = buffers.targets + v
        value, hit = evaluate(choice, number, logits + v, targets, weight, options, lanes, O)
        store(buffers.losses + v, value)
        store(buffers.hits + v, hit)


@kernel
def by_values(shape, choice, loss, logits, buffers, scale, O):
    """As `loss_and_gradient`, value by value; a target that is NaN does not count if so chosen."""
    _, lanes = size(shape)
    number, options, skips = int64(loss[NUMBERS.place]), loss + N_NUMBERS, loss[NUMBERS.skips] > 0.0
    height = int64(loss[NUMBERS.outputs])
    values = O // height
    for v in range(0, lanes, width(logits)):
        z, y = logits + v, buffers.targets + v
        n = fill(logits, 1.0 * values)
        if skips:
            n = count_present(y, lanes, values)
        weight = load(buffers.weights + v) * scale / n
        value, hit = fill(logits, 0.0), fill(logits, 0.0)
        for _ in range(values):
            target = load(y)
            counts = is_number(target)
            if skips:
                store(y, where_less(0.5, counts, target, 0.0))
            else:
                counts = fill(logits, 1.0)
            one, right = evaluate(choice, number, z, y, weight * counts, options, lanes, height)
            value = value + where_less(0.5, counts, one, 0.0)
            hit = hit + where_less(0.5, counts, right, 0.0)
            z, y = z + height * lanes, y + lanes
        value, hit = value / n, hit / n
        if loss[NUMBERS.labels] > 0.0:
            hit = where_less(hit, 1.0, 0.0, hit)
        store(buffers.losses + v, value)
        store(buffers.hits + v, hit)


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
