"""The tutorial's interface: `forward` remembers its input, `backward` learns from it.

Scripts call the two once per sample, so what surrounds the compiled step is kept to about two
microseconds each: the usual arguments take a short path with one pass over the input, all others
go through `checks`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from . import checks, compute, params, scores
from .settings import DTYPES

SAFE = 1e38  #: a sum of squares below it: no NaN, no infinity, nothing too large for float32


class Online:
    """Forward and backward on the parameters of a network, which are updated in place.

    Attributes
    ----------
    stale : bool
        Whether the parameters may have changed since the last forward pass.
    """

    def __init__(self, net: compute.Network, parameters: np.ndarray) -> None:
        self.stale = False
        self._net = net
        self._parameters = parameters
        self._x: np.ndarray | None = None  # our own copy of the last input, (T, I) or (B, T, I)
        self._binary = (net.loss, net.output_size) == ("bce", 1)
        self._usual_shape: tuple[int, ...] = ()
        self._usual_x = self._window = np.empty((0, net.input_size), net.dtype)
        self._usual_y = np.empty(1, net.dtype)

    def forward(self, x: Any) -> np.ndarray:
        """See `Model.forward`."""
        if self._is_usual(x):
            self._window[...] = x
            return self._forward_one(self._usual_x, len(self._usual_shape) == 3)
        own = checks.sequence_or_batch("x", x, self._net)
        if own.ndim == 2:
            return self._forward_one(own, np.ndim(x) == 3)
        self._x = own
        self.stale = False
        logits = compute.logits(self._net, own, self._parameters)
        return scores.activation(self._net.loss, logits)

    def backward(self, y: Any, learning_rate: float) -> None:
        """See `Model.backward`."""
        x = self._x
        if x is None:
            raise RuntimeError("backward needs a forward pass before it")
        if x.ndim == 3:
            self._backward_batch(x, y, learning_rate)
        else:
            target = self._usual_target(y)
            if target is None:
                target = checks.target("y", y, self._net)
            if self.stale:
                self._step.forward(x)
            self._step.backward(target, learning_rate)
        self.stale = True

    @cached_property
    def _step(self) -> compute.OnlineStep:
        """Made at its first use, which loads the compiled code."""
        return compute.OnlineStep(self._net, self._parameters)

    def _is_usual(self, x: Any) -> bool:
        """Whether `x` is a sound float array of one sequence, that fits into the window."""
        if type(x) is not np.ndarray or x.dtype not in DTYPES:
            return False
        if x.shape != self._usual_shape:
            features = self._net.input_size
            if x.shape[1:] not in ((features,), (features, 1)) or not x.size:
                return False
            self._usual_shape = x.shape
            self._usual_x = np.empty(x.shape[:2], self._net.dtype)
            self._window = self._usual_x.reshape(x.shape)
        return bool(np.vdot(x, x) < SAFE)  # unlike `dot`, it does not warn of an overflow

    def _forward_one(self, x: np.ndarray, columns: bool) -> np.ndarray:
        self._x = x
        self.stale = False
        outputs = self._step.forward(x)
        if self._binary:
            outputs[0] = scores.sigmoid(outputs.item())
        else:
            outputs = scores.activation(self._net.loss, outputs[None])[0]
        return outputs.reshape(-1, 1) if columns else outputs

    def _usual_target(self, y: Any) -> np.ndarray | None:
        """Take a float in [0, 1], alone or in an array, for one binary output; else None."""
        if type(y) is np.ndarray and y.size == 1 and y.ndim < 3:
            y = y.item()
        if self._binary and type(y) is float and 0.0 <= y <= 1.0:
            self._usual_y[0] = y
            return self._usual_y
        return None

    def _backward_batch(self, x: np.ndarray, y: Any, learning_rate: float) -> None:
        targets = checks.targets("y", y, len(x), self._net)
        gradients = params.aligned(self._parameters.size, self._net.dtype)
        compute.loss_and_gradients(self._net, x, targets, self._parameters, gradients)
        gradients *= learning_rate
        self._parameters -= gradients
