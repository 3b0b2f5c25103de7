"""Losses of logits and their gradients, samples in lanes.

Each writes the gradient over the logits and, per sample, the loss and whether the prediction is
right.  The loss reported is the loss whose gradient is taken.
"""

from __future__ import annotations

from ..jit import kernel
from ..simd import absolute, clip, fill, first, fma, load, size, store, where_less, width
from ..simd.vector_math import exp, log1p, sigmoid
from .names import LOSSES

BCE, CROSS_ENTROPY, MSE, HUBER, MAE = range(len(LOSSES))


@kernel
def loss_and_gradient(shape, loss, logits, buffers, scale, O):
    """Loss of one block of samples; the gradient by the logits takes their place.

    Parameters
    ----------
    shape : Shape
        Its lanes are the samples.
    loss : int
        Index in `LOSSES`.
    logits : pointer, (O, lanes)
        Read, and overwritten by the gradient.
    buffers : NamedTuple of pointers
        Read: ``targets`` (O, lanes), or (1, lanes) class indices for cross entropy; ``weights``
        (lanes), of each sample in the gradient.  Written: ``losses`` (lanes), unweighted;
        ``hits`` (lanes), 1 where the prediction is right, else 0, and of values their squared
        error.
    scale : float
        Factor of all gradients.
    """
    _, lanes = size(shape)
    for v in range(0, lanes, width(logits)):
        z, targets = logits + v, buffers.targets + v
        weight = load(buffers.weights + v) * scale
        if loss == BCE:
            value, hit = binary_cross_entropy(z, targets, weight, lanes, O)
        elif loss == CROSS_ENTROPY:
            value, hit = cross_entropy(z, load(targets), weight, lanes, O)
        else:
            value, hit = distance(loss, z, targets, weight, lanes, O)
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
def cross_entropy(logits, label, weight, ld, O):
    """log(sum over o of exp(z_o)) - z_label; gradient softmax(z) - onehot(label).

    Right: the label's logit is the largest.
    """
    top = load(logits)
    for o in range(1, O):
        z = load(logits + o * ld)
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
    return log1p(total) + (top - chosen), where_less(chosen, top, 0.0, fill(logits, 1.0))


@kernel(inline=True)
def distance(loss, logits, targets, weight, ld, O):
    """mean over o of a distance of z and y, with e = z - y; gradient / O.

    Squared: e**2, 2 e.  Absolute: |e|, sign(e), and 0 at 0.  Huber's (1964), with its corner at 1:
    e**2 / 2 up to it and |e| - 1/2 beyond; e, limited to [-1, 1].  Gives the mean of e**2 as well.
    """
    value, squares = fill(logits, 0.0), fill(logits, 0.0)
    for o in range(O):
        e = load(logits + o * ld) - load(targets + o * ld)
        squares = fma(e, e, squares)
        if loss == MSE:
            d, de = e * e, e * 2.0
        elif loss == MAE:
            d, de = absolute(e), where_less(0.0, e, 1.0, where_less(e, 0.0, -1.0, e))
        else:
            de = clip(e, -1.0, 1.0)
            d = de * (e - de * 0.5)
        value = value + d
        store(logits + o * ld, de * weight / O)
    return value / O, squares / O


@kernel
def outputs(loss, logits, out, O):
    """Outputs (O,) of the logits in lane 0: sigmoid, softmax or, for distances, themselves."""
    ld = width(logits)
    total, top = fill(logits, 0.0), load(logits)
    for o in range(1, O):
        z = load(logits + o * ld)
        top = where_less(top, z, z, top)
    for o in range(O):
        total = total + exp(load(logits + o * ld) - top)
    for o in range(O):
        z = load(logits + o * ld)
        if loss == BCE:
            z = sigmoid(z)
        elif loss == CROSS_ENTROPY:
            z = exp(z - top) / total
        out[o] = first(z)


@kernel(inline=True)
def where_equal(a, b, x, y):
    """Where a == b, x, else y, for whole numbers."""
    return where_less(a, b - 0.5, y, where_less(a, b + 0.5, x, y))
