"""One sequence at a time, forward and then backward, at the cost of its arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..jit import Program
from ..layout.network import Network
from ..layout.single import TASKS
from .loss import loss_fields
from .workspace import MEMORY, Memory, SingleSpace, addresses, function_of

ONLINE_STEP = Program("rnn_fast.kernels.single.program", "online_step", block="integers")


class Step:
    """The calls of a prepared step; each driver prepares its own."""

    _run: Callable[[int], None]
    _rate: np.ndarray
    _forward: int  # address of a block
    _backward: int
    _differentiate: int
    _gradients: np.ndarray
    _forward_block: np.ndarray  # its last number: whether `x` was finite

    def forward(self) -> bool:
        """Compute the outputs of the sequence `x`.

        Returns False if `x` is not finite in the network's dtype: then `x` is the last one again.
        """
        self._run(self._forward)
        return bool(self._forward_block[-1])

    def backward(self, learning_rate: float) -> None:
        """Descend one step on the loss of the last sequence, whose target is `y`."""
        self._rate[0] = learning_rate
        self._run(self._backward)

    def gradients(self) -> np.ndarray:
        """Return the gradients of the loss of the last sequence, (n_parameters,), until the next.

        Its target is `y`.
        """
        self._run(self._differentiate)
        return self._gradients


class OnlineStep(Step):
    """One sequence of T steps at a time, forward and then backward, as in a hand-written script.

    The arguments for C are prepared once, so that a call costs little more than its arithmetic.

    Attributes
    ----------
    x : (T, I) float64 array
        To be filled before `forward`.
    y : (target_size,) array
        To be filled before `backward`.
    outputs : (O,) float64 array
        Written by `forward`: probabilities or values.
    """

    def __init__(
        self, net: Network, parameters: np.ndarray, T: int, memory: Memory = MEMORY
    ) -> None:
        space = SingleSpace(net, T, memory=memory)
        loss = loss_fields(space, net)
        self.x = np.zeros((T, net.input_size))
        self.y = np.zeros(net.target_size, net.dtype)
        self.outputs = np.zeros(net.output_size)
        self._rate = np.zeros(1)
        self._gradients = np.zeros_like(parameters)
        self._run = function_of(ONLINE_STEP, net, *space.tile)
        self._arrays = (  # as the fields of `OnlineJob`; alive as long as their addresses
            space.sizes,
            space.offsets,
            space.work,
            self.x,
            self.y,
            parameters,
            self._gradients,
            self.outputs,
            self._rate,
            loss["evaluate"],
            loss["loss"],
        )
        places = addresses(*self._arrays)
        blocks = (np.array([*places, task, 0], np.int64) for task in range(len(TASKS)))
        prepare, self._forward_block, *self._others = blocks
        self._forward, self._backward, self._differentiate = addresses(
            self._forward_block, *self._others
        )
        self._run(prepare.ctypes.data)
