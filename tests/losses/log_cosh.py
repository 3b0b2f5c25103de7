"""The loss log(cosh(e)), e = z - y, which no file of the package names."""

import numpy as np

from rnn_fast.jit import kernel
from rnn_fast.losses import LOSSES, Loss
from rnn_fast.losses.functions import identity
from rnn_fast.simd import absolute, fill, fma, load, store
from rnn_fast.simd.vector_math import exp, log1p, tanh

# declaration
LOSS = LOSSES.add(
    Loss(
        name="log_cosh",
        kernel=f"{__name__}:log_cosh_kernel",
        output_kernel="rnn_fast.losses.maths:plain_outputs",
        activation=identity,
    )
)
# end of the declaration

LOG2 = float(np.log(2))


# maths
@kernel(inline=True)
def log_cosh_kernel(logits, targets, weight, options, ld, O):
    """mean over o of |e| + log(1 + exp(-2 |e|)) - log 2; gradient tanh(e) / O."""
    value, squares = fill(logits, 0.0), fill(logits, 0.0)
    for o in range(O):
        e = load(logits + o * ld) - load(targets + o * ld)
        squares = fma(e, e, squares)
        size = absolute(e)
        value = value + (size + log1p(exp(-2.0 * size)) - LOG2)
        store(logits + o * ld, tanh(e) * weight / O)
    return value / O, squares / O


# end of the maths
