"""One sequence at a time by the units driver, for every cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import Program
from ..layout.batch_records import Sums
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.unit_records import STEP_TASKS, StepJob
from .loss import loss_fields
from .online_step import Step
from .workspace import MEMORY, Memory, UnitSpace, addresses, function_of

UNIT_STEP = Program("rnn_fast.kernels.units.online", "unit_step", block="integers")


class UnitStep(Step):
    """One sequence of T steps at a time, forward and then backward, as in a hand-written script.

    The arguments for C are prepared once, so that a call costs little more than its arithmetic.

    Attributes
    ----------
    x : (T, I) float64 array
        To be filled before `forward`.
    y : (target_size,) or (T, target_size) array
        To be filled before `backward`.
    outputs : (O,) or (T, O) float64 array
        Written by `forward`: probabilities, or values for mse.
    """

    def __init__(
        self, net: Network, parameters: np.ndarray, T: int, memory: Memory = MEMORY
    ) -> None:
        space = UnitSpace(net, T, 1, memory=memory)
        steps = (T,) if net.sequences else ()
        self.x = np.zeros((T, net.input_size))
        self.y = np.zeros((*steps, net.target_size), net.dtype)
        self.outputs = np.zeros((*steps, net.output_size))
        self._rate, self._space = np.zeros(1), space
        self._gradients = aligned(parameters.size, net.dtype)
        fields: dict[str, Any] = dict(
            x=aligned(T * net.input_size, net.dtype),
            y=self.y,
            starts=np.zeros(1, np.int64),
            lengths=np.full(1, T),
            order=np.zeros(1, np.int64),
            n=1,
            batch=1,
            **loss_fields(space, net),
            parameters=parameters,
            gradients=self._gradients,
            update=parameters.size,
            dropout=np.zeros(2),
            result=np.zeros(len(Sums._fields)),
        )
        job = space.record(**fields)
        self._run = function_of(UNIT_STEP, net, *space.tile)
        record: dict[str, Any] = {
            "job": job.address,
            "x": self.x,
            "n": self.x.size,
            "outputs": self.outputs,
            "learning_rate": self._rate,
            "is_finite": 0,
        }
        self._alive = record, job  # as long as their addresses
        blocks = [
            np.array(addresses(*StepJob(**record, task=task)), np.int64)
            for task in range(len(STEP_TASKS))
        ]
        prepare, self._forward_block, *self._others = blocks
        self._forward, self._backward, self._differentiate = addresses(
            self._forward_block, *self._others
        )
        self._run(prepare.ctypes.data)
