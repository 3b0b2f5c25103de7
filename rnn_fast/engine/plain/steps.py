"""Sequences whose steps come bit by bit, and one sequence at a time, by NumPy."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ...cells.specs import CELLS
from ...data.rows import padded
from ...errors import CompilerMissing
from ...layout.network import Network
from ...losses import LOSSES
from ...tuning import TUNING
from .layers import Head, embedding_of, layers_of
from .predictions import PlainJob


class PlainStream:
    """The states of `batch` sequences, and copies of the weights, as a `UnitStream` has them.

    Attributes
    ----------
    state : (batch, states, runs, H) array
        Written by `store`, read by `load`.
    """

    def __init__(self, net: Network, parameters: np.ndarray, batch: int) -> None:
        self.net, self.batch, self._parameters = net, batch, parameters
        self.state = np.zeros((batch, net.states, net.runs, net.hidden_size), net.dtype)
        row = len(CELLS[net.cell].rows) * net.hidden_size * net.dtype.itemsize
        self._most = max(1, TUNING.plain_chunk_bytes // (row * batch))  # steps at a time
        self.pack()
        self.load()

    def steps(self, T: int) -> PlainSteps:
        """Return the next T steps, to be run again and again."""
        return PlainSteps(self, T)

    def pack(self) -> None:
        """Copy the weights."""
        net, parameters = self.net, self._parameters
        self._layers = [run for (run,) in layers_of(net, parameters)]
        self._head, table = Head(net, parameters), embedding_of(net, parameters)
        self._table = None if table is None else table.copy()

    def load(self) -> None:
        """Begin with `state`."""
        self._states = np.array(self.state.transpose(2, 1, 3, 0), order="C")

    def store(self) -> None:
        """Write `state`."""
        self.state[...] = self._states.transpose(3, 1, 0, 2)

    def run(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the logits (batch, T, O) of the next steps, whose numbers or tokens are x."""
        with np.errstate(all="ignore"):  # as compiled code
            for first in range(0, x.shape[1], self._most):
                chosen = slice(first, first + self._most)
                self._run(x[:, chosen], out[:, chosen])

    def _run(self, x: np.ndarray, out: np.ndarray) -> None:
        own = x if self._table is None else self._table[x]
        h = np.ascontiguousarray(own.transpose(1, 2, 0))  # (T, I, batch): the same bits for any T
        for run, state in zip(self._layers, self._states, strict=True):
            above = np.empty((len(h), state.shape[1], self.batch), self.net.dtype)
            run.over(h, state, (above,))
            h = above
        logits = self._head.Why @ h + self._head.by[:, None]
        out[...] = logits.transpose(2, 0, 1)
        if self.net.skip:
            out += x[..., : self.net.output_size]


class PlainSteps:
    """The next T steps of a stream's sequences, as `Steps` has them.

    Attributes
    ----------
    x : (batch, T, I) float64 array, or (batch, T) int64 array of tokens
        To be filled before `run`.
    out : (batch, T, O) array
        Logits that `run` writes.
    """

    def __init__(self, stream: PlainStream, T: int) -> None:
        net, batch = stream.net, stream.batch
        features = (batch, T) if net.embedding else (batch, T, net.input_size)
        self.x = np.zeros(features, np.int64 if net.embedding else np.float64)
        self.out = np.zeros((batch, T, net.output_size), net.dtype)
        self._stream = stream

    def run(self) -> int:
        """Run the steps in `x`; 0 if a number is not finite there: then nothing happened."""
        x = self.x
        if not self._stream.net.embedding:
            with np.errstate(over="ignore", invalid="ignore"):
                x = x.astype(self._stream.net.dtype)
            if not np.isfinite(x).all():
                return 0
        self._stream.run(x, self.out)
        return 1


class PlainStep:
    """One sequence of T steps at a time, forward alone, as an `online_step.Step` has it.

    Attributes
    ----------
    x : (T, I) float64 array
        To be filled before `forward`.
    y : (target_size,) or (T, target_size) array
        Not read.
    outputs : (O,) or (T, O) float64 array
        Written by `forward`: probabilities or values.
    """

    def __init__(self, net: Network, parameters: np.ndarray, T: int) -> None:
        steps = (T,) if net.sequences else ()
        self.net, self.x = net, np.zeros((T, net.input_size))
        self.y = np.zeros((*steps, net.target_size), net.dtype)
        self.outputs = np.zeros((*steps, net.output_size))
        self._last = self.x.astype(net.dtype)
        _, starts, lengths = padded(self._last[None])
        self._logits = np.zeros((T if net.sequences else 1, net.output_size), net.dtype)
        fields: dict[str, Any] = {"parameters": parameters, "out": self._logits}
        fields |= {"order": np.zeros(1, np.int64), "n": 1, "starts": starts, "lengths": lengths}
        self._job = PlainJob(net, fields)

    def forward(self) -> bool:
        """Compute the outputs of the sequence `x`.

        Returns False if `x` is not finite in the network's dtype: then `x` is the last one again.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            x = self.x.astype(self.net.dtype)
        if not np.isfinite(x).all():
            self.x[...] = self._last
            return False
        self._last = x
        self._job.set({"x": x})
        self._job.run()
        logits = self._logits if self.net.sequences else self._logits[0]
        self.outputs[...] = LOSSES[self.net.loss].activation(logits)
        return True

    def backward(self, learning_rate: float) -> NoReturn:
        """Raise CompilerMissing."""
        raise CompilerMissing("backward")

    def gradients(self) -> NoReturn:
        """Raise CompilerMissing."""
        raise CompilerMissing("backward")
