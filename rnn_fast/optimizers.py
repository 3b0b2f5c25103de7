"""Optimizers on one flat vector of parameters."""

from __future__ import annotations

from ._jit import kernel
from .simd import flush, fma, load, store, width


@kernel
def sgd(parameters, gradients, velocity, n, learning_rate, momentum):
    """v = momentum v + g;  p = p - learning_rate v  (Polyak's momentum, as PyTorch defines it).

    Written: `parameters` and `velocity`, pointers to n reals each; without momentum the velocity
    is neither read nor written.  A velocity that fades is flushed to zero: as denormals it would
    cost 34 times the arithmetic.
    """
    L = width(parameters)
    whole = n - n % L
    if momentum == 0.0:
        for i in range(0, whole, L):
            p = load(parameters + i)
            store(parameters + i, fma(load(gradients + i), -learning_rate, p))
        for i in range(whole, n):
            parameters[i] -= learning_rate * gradients[i]
    else:
        for i in range(0, whole, L):
            v = flush(fma(load(velocity + i), momentum, load(gradients + i)))
            store(velocity + i, v)
            store(parameters + i, fma(v, -learning_rate, load(parameters + i)))
        for i in range(whole, n):
            velocity[i] = momentum * velocity[i] + gradients[i]
            parameters[i] -= learning_rate * velocity[i]
