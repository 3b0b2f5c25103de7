"""What is computed: cells, losses, optimizers, the network, and where its parameters are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LOSSES = ("bce", "cross_entropy", "mse", "huber", "mae")
OPTIMIZERS = {"sgd": 1, "rmsprop": 3, "adam": 2, "adamw": 2, "adagrad": 1}  #: rows of state
STATE_ROWS = max(OPTIMIZERS.values())


class Knobs(NamedTuple):
    """Numbers of an optimizer: what it is told, see `optimizers`, and the scalars of its state."""

    momentum: float = 0.0
    decay: float = 0.0
    epsilon: float = 0.0
    weight_decay: float = 0.0
    nesterov: float = 0.0
    centered: float = 0.0
    rate_decay: float = 0.0
    clip_norm: float = 0.0  # 0: no limit
    clip_value: float = 0.0
    updates: float = 0.0  # so far
    power1: float = 1.0  # momentum**updates
    power2: float = 1.0  # decay**updates


class Cell(NamedTuple):
    """What the layout depends on of a cell; rows are counted in units of H."""

    gates: int  # G, rows of W
    rows: int  # of a_t: pre-activations, and what the cell keeps for the way back
    kept: bool  # whether a_t is needed on the way back
    grads: int  # rows of da_t
    states: int  # h, or h and c
    beside: int  # numbers per unit behind W: bhn, or peepholes
    passes: bool  # whether dh_{t-1} has a part that goes past the product


CELLS = {
    "tanh": Cell(1, 1, False, 1, 1, 0, False),
    "relu": Cell(1, 1, False, 1, 1, 0, False),
    "lstm": Cell(4, 5, True, 4, 2, 0, False),  # i f g o, tanh(c)
    "lstm_peephole": Cell(4, 5, True, 4, 2, 3, False),
    "gru": Cell(3, 4, True, 4, 1, 1, True),  # n's part of x, r, z, n's part of h
    "gru_before": Cell(3, 4, True, 3, 1, 0, True),  # r h_{t-1}; r, z, n
}


class Network(NamedTuple):
    """What is computed: everything about a model but its parameters."""

    cell: str  #: key in `CELLS`
    dtype: np.dtype
    input_size: int  #: I, features of a step; with an embedding, the vocabulary
    hidden_size: int  #: H
    output_size: int  #: O
    loss: str  #: one of `LOSSES`
    layers: int = 1
    directions: int = 1  #: D
    sequences: bool = False  #: whether there is an output after every step
    embedding: int = 0  #: size of the learned embedding, or 0
    learned_state: bool = False

    @property
    def gates(self) -> int:
        """G, rows of W per unit."""
        return CELLS[self.cell].gates

    @property
    def states(self) -> int:
        """State vectors of a run: h, or h and c."""
        return CELLS[self.cell].states

    @property
    def runs(self) -> int:
        """Layers times directions; run ``layer * directions + direction``."""
        return self.layers * self.directions

    @property
    def features(self) -> int:
        """Height of a step's input: features, or the size of the embedding."""
        return self.embedding or self.input_size

    @property
    def target_size(self) -> int:
        """Numbers in a target: a class, or one for each output."""
        return 1 if self.loss == "cross_entropy" else self.output_size

    @property
    def n_parameters(self) -> int:
        """Length of the flat vector."""
        return parameter_offsets(self).end

    def run_input(self, run: int) -> int:
        """Height of the input of a run."""
        above = run >= self.directions
        return self.directions * self.hidden_size if above else self.features


class ParameterOffsets(NamedTuple):
    """Where the parts of the flat vector start."""

    W: tuple[int, ...]  # of each run
    beside: tuple[int, ...]  # of each run: bhn (H,) or peepholes (3, H)
    V: int
    state: int  # h0, then c0, (runs, H) each, if learned
    embedding: int  # (vocabulary, E)
    end: int


def parameter_offsets(net: Network) -> ParameterOffsets:
    """Where the parts of a network's flat vector of parameters start."""
    H, at = net.hidden_size, 0
    W, beside = [], []
    for run in range(net.runs):
        W.append(at)
        at += net.gates * H * (net.run_input(run) + 1 + H)
        beside.append(at)
        at += CELLS[net.cell].beside * H
    state = at + net.output_size * (1 + net.directions * H)
    embedding = state + (net.states * net.runs * H if net.learned_state else 0)
    end = embedding + (net.input_size * net.embedding)
    return ParameterOffsets(tuple(W), tuple(beside), at, state, embedding, end)
