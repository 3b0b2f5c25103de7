"""Compiled maths of each loss, and of the outputs.

A loss is a kernel ``loss(logits, targets, weight, options, ld, O)`` of one vector register of
samples.  It returns the loss and the hit of each sample and writes the gradient over the logits,
times the weight.  Output o of a sample is ``ld`` numbers after output o - 1.  The loss reported is
the loss whose gradient is taken.  ``options`` points to the numbers of the loss's options.  An
output kernel ``outputs(logits, out, O)`` writes the outputs of the sample in lane 0.

O are all outputs, or the logits of one value: if a value has several, or if some are missing.
"""

from __future__ import annotations

import math

from ..jit import kernel
from ..simd import absolute, clip, fill, first, fma, load, store, where_less, width
from ..simd.vector_math import exp, log1p, sigmoid
from .functions import FLOOR

HALF_LOG_2_PI = math.log(2 * math.pi) / 2
LOG_FLOOR = math.log(FLOOR)


@kernel(inline=True)
def binary_cross_entropy(logits, targets, weight, options, ld, O):
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
def cross_entropy(logits, targets, weight, options, ld, O):
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
def squared_error(logits, targets, weight, options, ld, O):
    """mean over o of e**2, with e = z - y; gradient 2 e / O."""
    value, squares = fill(logits, 0.0), fill(logits, 0.0)
    for o in range(O):
        e = load(logits + o * ld) - load(targets + o * ld)
        squares = fma(e, e, squares)
        value = value + e * e
        store(logits + o * ld, e * 2.0 * weight / O)
    return value / O, squares / O


@kernel(inline=True)
def huber(logits, targets, weight, options, ld, O):
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
def absolute_error(logits, targets, weight, options, ld, O):
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
def poisson(logits, targets, weight, options, ld, O):
    """mean over o of exp(z) - z y, of a log-rate z; gradient (exp(z) - y) / O.

    The negative log-likelihood without log(y!).  Hits: the squared errors of the rates.
    """
    value, squares = fill(logits, 0.0), fill(logits, 0.0)
    for o in range(O):
        z = load(logits + o * ld)
        y, rate = load(targets + o * ld), exp(z)
        e = rate - y
        squares = fma(e, e, squares)
        value = value + (rate - z * y)
        store(logits + o * ld, e * weight / O)
    return value / O, squares / O


@kernel(inline=True)
def quantile(logits, targets, weight, options, ld, O):
    """mean over levels q of (1 - q) e above the target, -q e below (Koenker and Bassett, 1978).

    With e = z_q - y for one target y; gradient (1 - q) / O or -q / O, and 0 at e = 0.
    """
    value, squares, y = fill(logits, 0.0), fill(logits, 0.0), load(targets)
    for o in range(O):
        e = load(logits + o * ld) - y
        squares = fma(e, e, squares)
        de = where_less(0.0, e, 1.0 - options[o], where_less(e, 0.0, -options[o], e))
        value = value + de * e
        store(logits + o * ld, de * weight / O)
    return value / O, squares / O


@kernel(inline=True)
def gaussian(logits, targets, weight, options, ld, O):
    """log s + u**2 / 2 + log(2 pi) / 2 with u = (m - y) / s; gradients u / s, (1 - u**2) ds/dr / s.

    The logits of one value are its mean m and r, with s = FLOOR + exp(r) (Nix and Weigend, 1994).
    """
    e, r = load(logits) - load(targets), load(logits + ld)
    d = r - LOG_FLOOR
    less = exp(-1.0 * absolute(d))
    # log(FLOOR + exp(r)), without overflow
    log_s = where_less(d, 0.0, LOG_FLOOR, r) + log1p(less)
    precision = exp(-1.0 * log_s)
    u = e * precision
    store(logits, u * precision * weight)
    # ds/dr / s = exp(r) / (FLOOR + exp(r)) = sigmoid(d)
    share = where_less(d, 0.0, less, 1.0) / (less + 1.0)
    store(logits + ld, (1.0 - u * u) * share * weight)
    return log_s + (u * u * 0.5 + HALF_LOG_2_PI), e * e


@kernel(inline=True)
def inner_product(logits, targets, weight, options, ld, O):
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
def rate_outputs(logits, out, O):
    """exp(z)."""
    ld = width(logits)
    for o in range(O):
        out[o] = first(exp(load(logits + o * ld)))


@kernel
def gaussian_outputs(logits, out, O):
    """Mean and scale of each value."""
    ld = width(logits)
    for o in range(0, O, 2):
        out[o] = first(load(logits + o * ld))
        out[o + 1] = first(exp(load(logits + (o + 1) * ld))) + FLOOR


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
