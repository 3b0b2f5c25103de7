"""Predictions step by step: sequences whose next steps come one after another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..data import checks
from ..data.states import public_state, read_state
from ..engine.plain import needed
from ..engine.unit_stream import UnitStream
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..validation import DTYPES, shown


class Stream:
    """The state of some sequences, and a model's weights as they are when it is made.

    `rnn_fast.GRU(...).stream()` makes it.  Outputs have the bits of `predict` of the whole
    sequences, however steps are cut into calls; where NumPy predicts, for want of compiled
    programs, they equal those of `predict` up to rounding.

    One stream is used by one thread at a time; another thread waits.  Several streams of one model
    run side by side.  Compiled code releases the GIL.
    """

    def __init__(
        self,
        net: Network,
        parameters: np.ndarray,
        batch: int,
        outputs: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        self._net, self._parameters, self._batch = net, parameters, batch
        self._outputs, self._lock = outputs, threading.Lock()
        self._engine = stream_kind(net)(net, parameters, batch)
        self._one: tuple[int, ...] = () if net.embedding else (net.input_size,)  # shape of a step
        self._next = self._many = self._engine.steps(1)
        self._x, self._out = self._next.x[0, 0], self._next.out[0, 0]  # of one sequence
        self._run_next = self._next.run
        self._is_plain = batch == 1 and outputs is None and not net.embedding
        self.reset()

    # ------------------------------------------------------------------------------- steps

    def step(self, x: Any) -> np.ndarray:
        """Return the outputs of the next step.

        Parameters
        ----------
        x : array-like, (I,) or (batch, I); with an embedding an integer or (batch,)
            Without an axis for the batch only if that is 1.

        Returns
        -------
        ndarray, (O,) or (batch, O)
            As the method of the model that `Model.stream` names.

        Raises
        ------
        TypeError, ValueError
            Wrong shape or dtype, or not finite: the state is as before.
        """
        if self._is_plain and type(x) is np.ndarray and x.shape == self._one and x.dtype in DTYPES:
            with self._lock:
                self._x[...] = x
                if self._run_next():
                    return self._out.copy()
            raise self._not_finite("x")
        x, batched = self._checked(x, 0)
        with self._lock:
            logits = self._run(self._next, "x", x)[:, 0]
        logits = logits if batched else logits[0]
        return logits if self._outputs is None else self._labelled(logits[..., None, :])[..., 0, :]

    def run(self, X: Any) -> np.ndarray:
        """Return the outputs of the next T steps, (T, O) or (batch, T, O).

        Parameters
        ----------
        X : array-like, (T, I) or (batch, T, I); with an embedding (T,) or (batch, T)
            Without an axis for the batch only if that is 1.

        Raises
        ------
        TypeError, ValueError
            As `step`.
        """
        X, batched = self._checked(X, 1)
        T = X.shape[1]
        with self._lock:
            if T != self._many.x.shape[1]:
                self._many = self._engine.steps(T)
            logits = self._run(self._many, "X", X) if T else self._many.out
        logits = logits if batched else logits[0]
        return logits if self._outputs is None else self._labelled(logits)

    def _checked(self, x: Any, axes: int) -> tuple[np.ndarray, bool]:
        """Return x as (batch, T, ...), and whether it came with an axis for the batch."""
        net, name = self._net, "X" if axes else "x"
        array = x if type(x) is np.ndarray and x.dtype.kind == "f" else checks.real(name, x)
        plain = axes + len(self._one)
        batched = array.ndim == plain + 1
        fits = batched and array.shape[0] == self._batch
        fits = fits or (array.ndim == plain and self._batch == 1)
        if not fits or array.shape[array.ndim - len(self._one) :] != self._one:
            raise ValueError(f"{name} must have shape {self._expected(axes)}; got {array.shape}")
        if net.embedding:
            array = checks.tokens(name, np.atleast_1d(array), net)
        steps = array.shape[batched : batched + 1] if axes else (1,)
        return array.reshape(self._batch, *steps, *self._one), batched

    def _expected(self, axes: int) -> str:
        """Describe the shapes that `step` or `run` takes."""
        steps = ("T",) * axes
        shapes = [(self._batch, *steps, *self._one)]
        if self._batch == 1:
            shapes.insert(0, (*steps, *self._one))
        return " or ".join(str(shape).replace("'", "") for shape in shapes)

    def _run(self, steps: Any, name: str, x: np.ndarray) -> np.ndarray:
        """Return the logits (batch, T, O) of the next steps."""
        steps.x[...] = x
        if not steps.run():
            raise self._not_finite(name)
        return steps.out.copy()

    def _not_finite(self, name: str) -> ValueError:
        return ValueError(f"{name} must be finite numbers in {self._net.dtype.name}")

    def _labelled(self, logits: np.ndarray) -> np.ndarray:
        """Apply the function of the outputs to logits with an axis T."""
        assert self._outputs is not None
        outputs = self._outputs(logits.reshape(-1, *self._net.output_form))
        return outputs.reshape(*logits.shape[:-1], -1)

    # ------------------------------------------------------------------------------- state

    @property
    def state(self) -> Any:
        """The state after the last step, (num_layers, batch, H); for the LSTM a pair (h, c).

        The form of `initial_state`; it can be set.
        """
        with self._lock:
            self._engine.store()
            return public_state(self._engine.state.copy())

    @state.setter
    def state(self, value: Any) -> None:
        state = read_state(value, self._batch, self._net)
        if state is None:
            raise TypeError(f"state must be an array, or a pair for the LSTM; got {shown(value)}")
        with self._lock:
            self._engine.state[...] = state
            self._engine.load()

    def reset(self) -> None:
        """Begin new sequences: the state is zero, or what the model has learned."""
        net = self._net
        with self._lock:
            self._engine.state[...] = 0
            if net.learned_state:
                views = parameter_views(self._parameters, net)
                for k, name in enumerate(("h0", "c0")[: net.states]):
                    self._engine.state[:, k] = views[name]
            self._engine.load()

    def refresh(self) -> None:
        """Take over the model's parameters, if they have changed since the stream was made."""
        with self._lock:
            self._engine.pack()


def stream_kind(net: Network) -> Any:
    """Return the class that has the states and the weights of a stream."""
    if needed(net):
        from ..engine.plain.steps import PlainStream

        return PlainStream
    return UnitStream
