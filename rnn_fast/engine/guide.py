"""Training by a loss from elsewhere: a function of outputs, targets and weights.

Each window of a batch runs forward, the function says loss and gradient, and it runs backward; the
states are kept in between.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.rows import Sequences, Targets
from ..layout.batch_records import MEASURED, SUMS
from ..layout.network import Network
from ..layout.stages import STAGES, Given
from ..validation import shown
from .loss import loss_fields
from .threads import Team

#: ``function(outputs, targets, weights)`` returns the loss of a batch and its gradient
LossFunction = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[Any, Any]]


@functools.lru_cache(256)
def linear(net: Network) -> Network:
    """Return the network with the loss whose targets are gradients."""
    return net._replace(loss="linear", loss_options=(), output_shape=())


def given(**values: float) -> np.ndarray:
    """Return the record `Given`; what is not said is 0."""
    return np.array([values.get(name, 0.0) for name in Given._fields])


class Guide:
    """A loss function at work.

    Parameters
    ----------
    function : callable
        ``function(outputs, targets, weights)`` returns the loss of some sequences, a number, and
        its gradient with respect to the outputs, of their shape.  Outputs are logits, (n, O) or
        (n, T, O); targets (n, Y) or (n, T, Y), Y = 1 for classes; weights (n,) or (n, T), 0 in the
        padding.
    """

    def __init__(self, function: LossFunction) -> None:
        self.function = function

    def load(self, net: Network, data: Sequences, targets: Targets, T: int) -> None:
        """Take the data of the next runs, in windows of T steps."""
        self._net, self._data, self._targets, self._T = net, data, targets, T
        n = len(data.x) if net.sequences else len(data.starts)
        self._outputs = np.zeros((n, net.outputs), net.dtype)
        self._gradients = np.zeros_like(self._outputs)

    def run(
        self,
        epochs: Any,
        order: np.ndarray,
        schedule: np.ndarray,
        result: np.ndarray,
        seed: int,
        team: Team | None,
    ) -> None:
        """Train on the samples `order`, as `Epochs.run`; `epochs` is such an object."""
        size = epochs.batch_size
        for b in range(-(-len(order) // size)):
            chosen = order[b * size : (b + 1) * size]
            longest = int(self._data.lengths[chosen].max())
            for window in range(0, longest, self._T):
                fields = {
                    "order": chosen,
                    "n": len(chosen),
                    "schedule": schedule[b : b + 1],
                    "result": result,
                    "seed": seed,
                    "window": window,
                }
                epochs.job.set(fields)
                self._window(epochs, chosen, window, team)
                if not math.isfinite(result[SUMS.loss]):
                    return

    def _window(self, epochs: Any, chosen: np.ndarray, window: int, team: Team | None) -> None:
        """Train on one window of a batch."""
        job, space, (y, weights, skips) = epochs.job, epochs.space, self._targets
        sums = np.zeros((MEASURED, len(chosen)))
        carry = job.get("carry")
        before = None if carry is None else carry.copy()
        forward = {"stage": STAGES.forward, "out": self._outputs, "sums": sums, "given": None}
        job.set({**forward, "y": y, "weights": weights, **loss_fields(space, self._net, skips)})
        space.lead(job, team)
        if before is not None and not space.keeps:  # it runs forward once more
            carry[:] = before
        guided = self._guided(chosen, window, sums)
        backward = {"stage": STAGES.backward, "out": None, "sums": None, "given": guided}
        fields = loss_fields(space, linear(self._net))
        job.set({**backward, "y": self._gradients, "weights": None, **fields})
        space.lead(job, team)

    def _guided(self, chosen: np.ndarray, window: int, sums: np.ndarray) -> np.ndarray:
        """Let the function write gradients; return its loss, and the measures of the outputs."""
        _, hits, weight = sums.sum(axis=1).tolist()
        if not weight:
            return given(divisor=0.0)
        rows, inside = rows_in(self._net, self._data, chosen, window, self._T)
        value, gradient = called(self.function, *self._arguments(self._outputs, rows, inside))
        self._gradients[rows if inside is None else rows[inside]] = (
            gradient if inside is None else gradient[inside]
        )
        return given(divisor=1.0, loss=value * weight, hits=hits, weight=weight)

    def measure(self, outputs: np.ndarray) -> tuple[float, float]:
        """Return the loss of all sequences, given their outputs, and their weight."""
        rows, inside = rows_in(self._net, self._data, np.arange(len(self._data.starts)), 0, self._T)
        arguments = self._arguments(outputs, rows, inside)
        weight = float(arguments[-1].sum(dtype=float))
        return (called(self.function, *arguments)[0] if weight else math.nan), weight

    def _arguments(
        self, outputs: np.ndarray, rows: np.ndarray, inside: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return copies of outputs, targets and weights of some rows, 0 in the padding."""
        arguments = outputs[rows], self._targets.y[rows], self._weights(rows)
        if inside is not None:
            for array in arguments:
                array[~inside] = 0
        return arguments

    def _weights(self, rows: np.ndarray) -> np.ndarray:
        weights = self._targets.weights
        return np.ones(rows.shape, self._net.dtype) if weights is None else weights[rows]


def rows_in(
    net: Network, data: Sequences, chosen: np.ndarray, window: int, T: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows of outputs that a window compares, (n,) or (n, T); and which there are.

    The second, (n, T) bool, is None if none is beyond the end of its sequence.
    """
    lengths = data.lengths[chosen] - window
    if not net.sequences:
        return chosen[(lengths > 0) & (lengths <= T)], None
    going = lengths > 0
    steps = np.arange(min(T, int(lengths.max())))
    inside = steps < lengths[going][:, None]
    rows = (data.starts[chosen[going]] + window)[:, None] + steps
    if inside.all():
        return rows, None
    return np.where(inside, rows, rows[:, :1]), inside


def called(
    function: LossFunction, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the loss and the gradient that the function gives.

    Raises
    ------
    TypeError, ValueError
        It does not return a number, and an array of the outputs' shape.
    """
    shape = outputs.shape
    result = function(outputs, targets, weights)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            "loss must return (value, gradient), a number and an array; got "
            f"{type(result).__name__}"
        )
    value, gradient = result
    number, array = np.asarray(value), np.asarray(gradient)
    if number.size != 1 or number.dtype.kind not in "iuf":
        raise TypeError(f"loss must return a number as its value; got {shown(value)}")
    if array.shape != shape or array.dtype.kind not in "iuf":
        raise ValueError(
            f"loss must return a gradient of the shape {shape} of the outputs; got "
            f"{array.dtype} of shape {array.shape}"
        )
    return float(number.reshape(())), array
