"""The tutorial's interface: `forward` remembers its input, `backward` learns from it.

Scripts call the two once per sample, so what surrounds the compiled step is kept to about a
microsecond each: an array of the shape of the last one takes a short path, all others go through
`checks`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import checks
from ..data.rows import padded
from ..data.sequences import Input
from ..data.targets import read_targets
from ..engine import operations
from ..engine.plain import needed
from ..engine.tiling import runs_singly
from ..layout.constraints import Bounds
from ..layout.memory import aligned
from ..layout.network import Network
from ..losses import LOSSES
from ..validation import DTYPES


class Online:
    """Forward and backward on the parameters of a network, which are updated in place.

    Attributes
    ----------
    stale : bool
        Whether the parameters may have changed since the last forward pass.
    """

    def __init__(self, net: Network, parameters: np.ndarray) -> None:
        self.stale = False
        self._net = net
        self._parameters = parameters
        self.constrain(None)
        bounded = LOSSES[net.loss].bounds == (0.0, 1.0)
        self._binary = bounded and net.output_size == 1 and not net.sequences
        self._stepwise = not net.embedding  # whether one sequence has a step of its own
        self._batch: np.ndarray | None = None  # a copy of the last input, except an online step's
        self._single = False  # whether it is one sequence
        self._step: Any = None  # of `step_kind`
        self._shape: tuple[int, ...] = ()  # shape of the last sequence
        self._window = self._outputs = np.empty(0)  # of the step, in the shapes of input and output

    def constrain(self, bounds: Bounds | None) -> None:
        """Keep to constraints from the next step on; None: to none."""
        self._bounds = bounds
        self._update: Any = None  # a `FlatUpdate`, made for the first step

    def forward(self, x: Any) -> np.ndarray:
        """See `Model.forward`."""
        if type(x) is np.ndarray and x.shape == self._shape and x.dtype in DTYPES:
            self._window[...] = x
            if self._step.forward():
                self._batch = None
                self.stale = False
                return self._outputs.copy()
        own = checks.sequence_or_batch("x", x, self._net)
        single = own.ndim == (1 if self._net.embedding else 2)
        if single and self._stepwise:
            return self._forward_anew(own, np.shape(x))
        self._batch, self._single, self.stale = own[None] if single else own, single, False
        logits = operations.logits(self._net, padded(self._batch), self._parameters)
        if self._net.sequences:
            logits = logits.reshape(*self._batch.shape[:2], -1)
        outputs = LOSSES[self._net.loss].activation(logits).astype(np.float64)
        if not single:
            return outputs
        columns = not self._net.embedding and np.ndim(x) == 3
        return outputs[0][..., None] if columns else outputs[0]

    def _forward_anew(self, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Run a sequence (T, I) whose shape is not that of the last one."""
        step = self._step
        if step is None or len(step.x) != len(x):
            step = self._step = step_kind(self._net)(self._net, self._parameters, len(x))
        step.x[...] = x
        step.forward()
        self._batch, self.stale = None, False
        self._shape, self._window = shape, step.x.reshape(shape)
        self._outputs = step.outputs[..., None] if len(shape) == 3 else step.outputs
        return self._outputs.copy()

    def backward(self, y: Any, learning_rate: float) -> None:
        """See `Model.backward`."""
        was_stale, self.stale = self.stale, True  # first: an interrupt may come after the update
        if self._batch is not None:
            self._backward_batch(self._batch, y, learning_rate)
        elif self._step is None or not self._shape:
            raise RuntimeError("backward needs a forward pass before it")
        else:
            self._step.y[:] = self._steps_of(y) if self._net.sequences else self._target(y)
            if was_stale:
                self._step.forward()
            if self._bounds is None:
                self._step.backward(learning_rate)
            else:
                self._descend(self._step.gradients(), learning_rate)

    def _target(self, y: Any) -> Any:
        """Check a target; a number in [0, 1] for one binary output needs no check."""
        if self._binary:
            is_array = type(y) is np.ndarray and y.size == 1 and y.ndim < 3
            value = y.item() if is_array or isinstance(y, np.generic) else y
            if type(value) in (float, int) and 0 <= value <= 1:
                return value
        return checks.target("y", y, self._net)

    def _steps_of(self, y: Any) -> np.ndarray:
        """Check the targets of all steps of the last sequence."""
        x = self._step.x[None].astype(self._net.dtype)
        given = Input(padded(x), x.shape[1])
        return read_targets("y", np.asarray(y)[None], given, self._net).y

    def _backward_batch(self, x: np.ndarray, y: Any, learning_rate: float) -> None:
        net = self._net
        given = Input(padded(x), x.shape[1])
        if self._single and not net.sequences:
            y = checks.target("y", y, net)
        targets = read_targets("y", np.asarray(y)[None] if self._single else y, given, net)
        gradients = aligned(self._parameters.size, net.dtype)
        operations.loss_and_gradients(net, given.sequences, targets, self._parameters, gradients)
        if self._bounds is None:
            gradients *= learning_rate
            self._parameters -= gradients
        else:
            self._descend(gradients, learning_rate)

    def _descend(self, gradients: np.ndarray, learning_rate: float) -> None:
        """Make a step of descent that keeps to the constraints."""
        if self._update is None:
            from ..engine.optimizer_state import Descent, FlatUpdate
            from ..optimizers import SGD

            descent = Descent(SGD(), self._parameters.size, self._net.dtype)
            descent.bounds = self._bounds
            self._update = FlatUpdate(descent, self._parameters)
        self._update.run(gradients, learning_rate)


def step_kind(net: Network) -> Any:
    """Return the class that runs one sequence at a time."""
    if needed(net):
        from ..engine.plain.steps import PlainStep

        return PlainStep
    if runs_singly(net, 1):
        from ..engine.online_step import OnlineStep

        return OnlineStep
    from ..engine.unit_step import UnitStep

    return UnitStep
