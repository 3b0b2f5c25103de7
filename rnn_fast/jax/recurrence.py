"""Passes over NumPy arrays: forward alone, and backward after another one forward."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.rows import padded
from ..data.sequences import read_lengths
from ..engine.chance import Chance
from ..engine.passes import Passes, numbers_kept
from ..engine.threads import Team, wanted
from ..engine.tiling import seconds_per_row
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..models.stack import Stack
from ..tuning import TUNING


class Layers(NamedTuple):
    """Everything about layers except their parameters and their dtype."""

    cell: str
    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    dropout: float  #: 0 in evaluation

    def network(self, dtype: np.dtype) -> Network:
        """Return the network of these layers."""
        return _network(self, dtype)


@functools.lru_cache(256)
def _network(layers: Layers, dtype: np.dtype) -> Network:
    options = layers._asdict()
    return Stack._network(options.pop("cell"), {**options, "dtype": dtype})[1]


class Inputs:
    """Arrays that layers compute with, in the forms of the kernels.

    Parameters
    ----------
    layers : Layers
    arrays : sequence of ndarray
        x (N, T, I); initial states (runs, N, H), as many as the cell has; the parameters in the
        order of `parameter_views`; lengths (N,) int32; a seed, two of uint32.

    Raises
    ------
    ValueError
        A length is not in 1 .. T.
    """

    def __init__(self, layers: Layers, arrays: Sequence[np.ndarray]) -> None:
        x, *rest, lengths, seed = arrays
        self.net = net = layers.network(x.dtype)
        self.N, self.T, _ = x.shape
        self.data = padded(x)._replace(lengths=read_lengths(lengths, self.N, self.T))
        self.state = by_sequence(rest[: net.states])
        self.parameters = np.empty(net.n_parameters, net.dtype)
        views = parameter_views(self.parameters, net).values()
        for view, values in zip(views, rest[net.states :], strict=True):
            view[...] = values
        self.chance = Chance(dropout=layers.dropout)
        self.seed = int(seed[0]) << 30 | int(seed[1]) >> 2

    def rows(self, array: np.ndarray) -> np.ndarray:
        """Return an array (N, T, C) as rows."""
        return array.reshape(self.N * self.T, -1)

    def room(self, array: np.ndarray) -> np.ndarray:
        """Return the rows of an array (N, T, C) that are to be written; those of padding are 0."""
        if (self.data.lengths < self.T).any():
            array[...] = 0
        return self.rows(array)

    def team(self) -> Team:
        """Return as many threads as are worth their start."""
        seconds = seconds_per_row(self.net) * float(self.data.lengths.sum())
        return Team(wanted(None) if seconds > TUNING.worth_seconds else 1)

    def kept(self, memory: np.ndarray) -> np.ndarray | None:
        """Return the part of memory that the states of all sequences take, or None if none can."""
        longest = int(self.data.lengths.max())
        n = numbers_kept(self.net, longest, self.N, self.chance, input_gradients=True)
        return memory[:n] if 0 < n < len(memory) else None

    def passes(self, kept: np.ndarray | None = None) -> Passes:
        """Return passes forward and backward, with the states in `kept`."""
        return Passes(
            self.net,
            self.parameters,
            self.data,
            state=self.state,
            chance=self.chance,
            seed=self.seed,
            input_gradients=True,
            kept=kept,
        )


def n_kept(layers: Layers, N: int, T: int, dtype: np.dtype) -> int:
    """Return the length of what `forward` keeps for `backward`, of N sequences of T steps."""
    chance = Chance(dropout=layers.dropout)
    return 1 + numbers_kept(layers.network(dtype), T, N, chance, input_gradients=True)


def forward(layers: Layers, arguments: list[np.ndarray], results: list[np.ndarray]) -> None:
    """Write the outputs (N, T, D H) and the final states (runs, N, H); the arguments: `Inputs`.

    A further result (`n_kept`,) is for `backward`.  Its last number says what the others are worth.
    """
    inputs = Inputs(layers, arguments)
    outputs, *states = results[: 1 + inputs.net.states]
    memory = results[-1] if len(results) > 1 + len(states) else None
    kept = None if memory is None else inputs.kept(memory)
    final = np.empty_like(inputs.state)
    with inputs.team() as team:
        inputs.passes(kept).forward(out=inputs.room(outputs), final=final, team=team)
    write_states(states, final)
    if memory is not None:
        memory[-1] = 0 if kept is None else 1 + TUNING.changes


def backward(layers: Layers, arguments: list[np.ndarray], results: list[np.ndarray]) -> None:
    """Write the gradients with respect to x, the initial states and the parameters.

    The arguments are the gradients with respect to the outputs and each final state, what `forward`
    kept, then the arguments of `forward`.  It runs again if it kept nothing.
    """
    net = layers.network(results[0].dtype)
    n = 1 + net.states
    doutputs, *dfinal, memory = arguments[: n + 1]
    inputs = Inputs(layers, arguments[n + 1 :])
    dx, states, parameters = results[0], results[1:n], results[n:]
    kept = inputs.kept(memory) if memory[-1] == 1 + TUNING.changes else None
    dstate, gradients = np.empty_like(inputs.state), np.empty_like(inputs.parameters)
    passes = inputs.passes(kept)
    with inputs.team() as team:
        if kept is None:
            passes.forward(out=passes.room("outputs", net.outputs), team=team)
        passes.backward(
            inputs.rows(doutputs),
            gradients,
            dfinal=by_sequence(dfinal),
            dstate=dstate,
            dx=inputs.room(dx),
            team=team,
        )
    write_states(states, dstate)
    for array, view in zip(parameters, parameter_views(gradients, net).values(), strict=True):
        array[...] = view


def by_sequence(states: Sequence[np.ndarray]) -> np.ndarray:
    """Return states (runs, N, H) as one array (N, states, runs, H)."""
    return np.ascontiguousarray(np.stack(states).transpose(2, 0, 1, 3))


def write_states(arrays: Sequence[np.ndarray], states: np.ndarray) -> None:
    """Write states (N, states, runs, H) to an array (runs, N, H) each."""
    for array, part in zip(arrays, states.transpose(1, 2, 0, 3), strict=True):
        array[...] = part
