"""Jacobians of one step of a model, with respect to its state and its input."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from ..data.arrays import real
from ..data.rows import padded
from ..data.states import read_state
from ..engine import threads
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..validation import flag
from .weights import parameter_memory

#: sequences of a pass, a row of a Jacobian each: all passes are of one size, for another size may
#: take another program, and a program compiles for seconds
ROWS = 1024


class Step:
    """A step of a model's layers as a function of flat states, computed in float64.

    A flat state, (S,), has h of each layer, then c of each layer: S = layers H, or 2 layers H.

    Parameters
    ----------
    model : Model or Stack
        Its parameters are copied.
    n_threads : int or None
        As in `fit`.

    Raises
    ------
    ValueError
        Its layers run in two directions, or begin with an embedding.
    """

    def __init__(self, model: Any, n_threads: int | None = None) -> None:
        net: Network = model._net
        if net.directions > 1:
            raise ValueError(
                "a bidirectional model has no step from state to state: its reverse states come "
                "from later inputs"
            )
        if net.embedding:
            raise ValueError("a model with an embedding has no step on numbers; take its layers")
        self.net = net = net._replace(
            dtype=np.dtype(np.float64),
            output_size=0,
            sequences=True,
            learned_state=False,
            skip=False,
            output_shape=(),
        )
        self._flat, self._n_threads = parameter_memory(net), threads.wanted(n_threads)
        for name, view in parameter_views(self._flat, net).items():
            view[...] = model._views[name]

    @property
    def size(self) -> int:
        """S, numbers of a flat state."""
        return self.net.states * self.net.layers * self.net.hidden_size

    def flat(self, name: str, state: Any) -> np.ndarray:
        """Return states in PyTorch's form, (layers, N, H), for the LSTM a pair, as (N, S)."""
        first = state[0] if self.net.states > 1 and isinstance(state, (list, tuple)) else state
        shape, net = np.shape(first), self.net
        if len(shape) != 3 or not shape[1]:
            raise ValueError(
                f"{name} must have shape ({net.layers}, N, {net.hidden_size}), layers by states by "
                f"units, N at least 1; got {shape}"
            )
        N, read = shape[1], read_state(state, shape[1], net, name=name)
        assert read is not None
        return read.reshape(N, -1)

    def inputs(self, x: Any, N: int) -> np.ndarray:
        """Return the inputs of N states, (I,) for all or (N, I), as (N, I)."""
        array, I = real("x", x), self.net.input_size
        if array.shape not in [(I,), (N, I)]:
            raise ValueError(f"x must have shape ({I},) or ({N}, {I}); got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError("x must be finite")
        return np.broadcast_to(array.astype(np.float64), (N, I))

    def derivatives(
        self, states: np.ndarray, x: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return new states (N, S), and Jacobians (N, S, S) and (N, S, I): [n, i, j] = di / dj."""
        N, S = states.shape
        new, J, Jx = np.empty((N, S)), np.empty((N, S, S)), np.empty((N, S, x.shape[1]))
        few = max(1, ROWS // S)
        with threads.Team(self._n_threads) as team:
            for a in range(0, N, few):
                rows = np.minimum(np.arange(a, a + few), N - 1)  # the last again, to be of one size
                pulled, n = self._pulled(states[rows], x[rows], team), min(few, N - a)
                for whole, part in zip((new, J, Jx), pulled, strict=True):
                    whole[a : a + n] = part[:n]
        return new, J, Jx

    def _pulled(self, states: np.ndarray, x: np.ndarray, team: Any) -> tuple[np.ndarray, ...]:
        """Return the same of few states: the row of a new number is the pull of a unit vector."""
        from ..engine.passes import Passes

        (n, S), net = states.shape, self.net
        shape = (n * S, net.states, net.layers, net.hidden_size)
        state = np.repeat(states, S, axis=0).reshape(shape)
        passes = Passes(
            net,
            self._flat,
            padded(np.repeat(x, S, axis=0)[:, None]),
            state=state,
            input_gradients=True,
        )
        final, dstate = np.zeros(shape), np.zeros(shape)
        out = passes.forward(final=final, team=team)
        units = np.tile(np.eye(S), (n, 1)).reshape(shape)
        dx, gradients = np.zeros_like(passes.data.x), np.zeros_like(self._flat)
        passes.backward(
            np.zeros_like(out), gradients, dfinal=units, dstate=dstate, dx=dx, team=team
        )
        new = final.reshape(n, S, S)[:, 0]
        return new, dstate.reshape(n, S, S), dx.reshape(n, S, -1)


class Linearised:
    """The method of a model, or of its layers alone, that linearises a step."""

    @overload
    def jacobian(
        self, state: Any, x: Any, *, inputs: Literal[False] = False, n_threads: int | None = None
    ) -> np.ndarray: ...
    @overload
    def jacobian(
        self, state: Any, x: Any, *, inputs: Literal[True], n_threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @overload
    def jacobian(
        self, state: Any, x: Any, *, inputs: bool, n_threads: int | None = None
    ) -> Any: ...
    def jacobian(
        self, state: Any, x: Any, *, inputs: bool = False, n_threads: int | None = None
    ) -> Any:
        """Return the Jacobian of one step with respect to the state, at N states.

        It is computed in float64, of the parameters as they are, without dropout or noise.  A
        bidirectional model has none: its reverse states come from later inputs.

        Parameters
        ----------
        state : array-like, or a pair of them
            N states in PyTorch's form: (num_layers, N, H), for the LSTM a pair (h, c).
        x : array-like
            Input of the step, (I,) for all states or (N, I).
        inputs : bool
            Whether to return the Jacobian with respect to the input too.
        n_threads : int, optional
            As in `fit`.

        Returns
        -------
        (N, S, S) ndarray of float64
            ``J[n, i, j]`` is d new[i] / d old[j] of state n, where a state is flat: h of each
            layer, then for the LSTM c of each layer; S = num_layers H, or 2 num_layers H.
        (N, S, I) ndarray of float64
            With `inputs`: d new[i] / d x[j].

        Raises
        ------
        TypeError, ValueError
            An argument does not fit, or the model is bidirectional or has an embedding.
        """
        step, wanted = Step(self, n_threads), flag("inputs", inputs)
        states = step.flat("state", state)
        _, J, Jx = step.derivatives(states, step.inputs(x, len(states)))
        return (J, Jx) if wanted else J
