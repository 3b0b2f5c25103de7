"""Optimizers on one flat vector of parameters."""

from __future__ import annotations

from ._jit import kernel


@kernel
def sgd(parameters, gradients, velocity, n, learning_rate, momentum):
    """v = momentum v + g;  p = p - learning_rate v  (Polyak's momentum, as PyTorch defines it).

    Written: `parameters`, `velocity`, pointers to n reals each.  Without momentum the velocity
    is neither read nor written.
    """
    if momentum == 0.0:
        for i in range(n):
            parameters[i] -= learning_rate * gradients[i]
    else:
        for i in range(n):
            velocity[i] = momentum * velocity[i] + gradients[i]
            parameters[i] -= learning_rate * velocity[i]
