"""Compiled losses of logits and their gradients, samples in lanes.

A loss is a kernel ``loss(logits, targets, weight, ld, O)`` of one vector register of samples.  It
returns the loss and the hit of each sample and writes the gradient over the logits, times the
weight.  Output o of a sample is ``ld`` numbers after output o - 1.  The loss reported is the loss
whose gradient is taken.  An output kernel ``outputs(logits, out, O)`` writes the outputs of the
sample in lane 0.

A program holds every registered loss, and a run-time number chooses: another loss compiles nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ..jit import kernel, kernel_named, overloads
from ..simd import (
    absolute,
    clip,
    fill,
    first,
    fma,
    load,
    marker,
    marker_type,
    size,
    store,
    where_less,
    width,
)
from ..simd.vector_math import exp, log1p, sigmoid
from .loss import LOSSES


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
        def unknown(number, logits, targets, weight, ld, O):
            return fill(logits, np.nan), fill(logits, np.nan)

        return unknown
    here, further = kernel_named(losses[place].kernel), loss_branch(losses, place + 1)

    @kernel(inline=True)
    def branch(number, logits, targets, weight, ld, O):
        if number == place:
            return here(logits, targets, weight, ld, O)
        return further(number, logits, targets, weight, ld, O)

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


def evaluate(choice, number, logits, targets, weight, ld, O):
    """Return loss and hit of a register of samples; write the gradient."""
    raise NotImplementedError


@overloads(evaluate)
def _evaluate(choice, number, logits, targets, weight, ld, O):
    function = loss_branch(choice.losses)
    return lambda choice, number, logits, targets, weight, ld, O: function(
        number, logits, targets, weight, ld, O
    )


def outputs(choice, number, logits, out, O):
    """Write the outputs (O,) of the logits in lane 0."""
    raise NotImplementedError


@overloads(outputs)
def _outputs(choice, number, logits, out, O):
    function = output_branch(choice.losses)
    return lambda choice, number, logits, out, O: function(number, logits, out, O)


@kernel
def loss_and_gradient(shape, choice, number, logits, buffers, scale, O):
    """Loss of one block of samples; the gradient with respect to the logits takes their place.

    Parameters
    ----------
    shape : Shape
        Its lanes are the samples.
    choice : Choice
    number : int
        Place in `LOSSES`.
    logits : pointer, (O, lanes)
        Read, and overwritten by the gradient.
    buffers : NamedTuple of pointers
        Read: ``targets`` (Y, lanes); ``weights`` (lanes), the weight of each sample.  Written:
        ``losses`` (lanes), unweighted; ``hits`` (lanes), 1 where the prediction is right, else 0,
        and of values the squared error.
    scale : float
        Factor of all gradients.
    """
    _, lanes = size(shape)
    for v in range(0, lanes, width(logits)):
        weight = load(buffers.weights + v) * scale
        targets = buffers.targets + v
        value, hit = evaluate(choice, number, logits + v, targets, weight, lanes, O)
        store(buffers.losses + v, value)
        store(buffers.hits + v, hit)


@kernel(inline=True)
def binary_cross_entropy(logits, targets, weight, ld, O):
    """mean over o of max(z, 0) - z y + log1p(exp(-|z|)); gradient (sigmoid(z) - y) / O.

    Right: every logit above 0 where its target is above 1/2, and else not.
    """
    value = fill(logits, 0.0)
    hit = fill(logits, 1.0)
    for o in range(O):
        z = load(logits + o * ld)
        y = load(targets + o * ld)
        size_z = where_less(z, 0.0, -1.0 * z, z)
        value = value + (where_less(z, 0.0, 0.0, z) - z * y + log1p(exp(-1.0 * size_z)))
        store(logits + o * ld, (sigmoid(z) - y) * weight / O)
        wrong_if_low = where_less(0.5, y, hit, 0.0)  # the target is 1
        hit = where_less(0.0, z, wrong_if_low, hit - wrong_if_low)
    return value / O, hit


@kernel(inline=True)
def cross_entropy(logits, targets, weight, ld, O):
    """log(sum over o of exp(z_o)) - z_label; gradient softmax(z) - onehot(label).

    Right: the label's logit is the largest, and the first of these.
    """
    top, label, best = load(logits), load(targets), fill(logits, 0.0)
    for o in range(1, O):
        z = load(logits + o * ld)
        best = where_less(top, z, fill(logits, 1.0 * o), best)
        top = where_less(top, z, z, top)
    total = fill(logits, -1.0)  # the sum of exponentials is at least 1: log1p(sum - 1)
    chosen = fill(logits, 0.0)
    for o in range(O):
        z = load(logits + o * ld)
        e = exp(z - top)
        chosen = chosen + where_equal(label, o, z, 0.0)
        total = total + e
        store(logits + o * ld, e)
    for o in range(O):
        p = load(logits + o * ld) / (total + 1.0)
        store(logits + o * ld, (p - where_equal(label, o, 1.0, 0.0)) * weight)
    return log1p(total) + (top - chosen), where_equal(label - best, 0, fill(logits, 1.0), 0.0)


@kernel(inline=True)
def squared_error(logits, targets, weight, ld, O):
    """mean over o of e**2, with e = z - y; gradient 2 e / O."""
    value, squares = fill(logits, 0.0), fill(logits, 0.0)
    for o in range(O):
        e = load(logits + o * ld) - load(targets + o * ld)
        squares = fma(e, e, squares)
        value = value + e * e
        store(logits + o * ld, e * 2.0 * weight / O)
    return value / O, squares / O


@kernel(inline=True)
def huber(logits, targets, weight, ld, O):
    """mean over o of e**2 / 2 up to |e| = 1, |e| - 1/2 beyond (Huber, 1964).

    Gradient: e, limited to [-1, 1], / O.
    """
    value, squares = fill(logits, 0.0), fill(logits, 0.0)
    for o in range(O):
        e = load(logits + o * ld) - load(targets + o * ld)
        squares = fma(e, e, squares)
        de = clip(e, -1.0, 1.0)
        value = value + de * (e - de * 0.5)
        store(logits + o * ld, de * weight / O)
    return value / O, squares / O


@kernel(inline=True)
def absolute_error(logits, targets, weight, ld, O):
    """mean over o of |e|, with e = z - y; gradient sign(e) / O, and 0 at 0."""
    value, squares = fill(logits, 0.0), fill(logits, 0.0)
    for o in range(O):
        e = load(logits + o * ld) - load(targets + o * ld)
        squares = fma(e, e, squares)
        de = where_less(0.0, e, 1.0, where_less(e, 0.0, -1.0, e))
        value = value + absolute(e)
        store(logits + o * ld, de * weight / O)
    return value / O, squares / O


@kernel(inline=True)
def inner_product(logits, targets, weight, ld, O):
    """sum over o of z y; gradient y: for gradients that come from outside.

    No hits: there is nothing to compare.
    """
    value = fill(logits, 0.0)
    for o in range(O):
        z, y = load(logits + o * ld), load(targets + o * ld)
        value = fma(z, y, value)
        store(logits + o * ld, y * weight)
    return value, fill(logits, 0.0)


@kernel
def sigmoid_outputs(logits, out, O):
    """sigmoid(z)."""
    ld = width(logits)
    for o in range(O):
        out[o] = first(sigmoid(load(logits + o * ld)))


@kernel
def softmax_outputs(logits, out, O):
    """exp(z) / sum exp(z)."""
    ld = width(logits)
    total, top = fill(logits, 0.0), load(logits)
    for o in range(1, O):
        z = load(logits + o * ld)
        top = where_less(top, z, z, top)
    for o in range(O):
        total = total + exp(load(logits + o * ld) - top)
    for o in range(O):
        out[o] = first(exp(load(logits + o * ld) - top) / total)


@kernel
def plain_outputs(logits, out, O):
    """z."""
    ld = width(logits)
    for o in range(O):
        out[o] = first(load(logits + o * ld))


@kernel(inline=True)
def where_equal(a, b, x, y):
    """x where a == b, else y, for whole numbers."""
    return where_less(a, b - 0.5, y, where_less(a, b + 0.5, x, y))
