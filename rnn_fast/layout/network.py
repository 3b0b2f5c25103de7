"""The network, and the places of its parameters in one flat vector."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ..cells.specs import CELLS
from ..losses import LOSSES


class Network(NamedTuple):
    """Everything about a model except its parameters."""

    cell: str  #: key in `CELLS`
    dtype: np.dtype
    input_size: int  #: I, features of a step; with an embedding, the vocabulary
    hidden_size: int  #: H
    output_size: int  #: O, logits; 0: no head, the outputs are the states of the top layer
    loss: str  #: one of `LOSSES`
    layers: int = 1
    directions: int = 1  #: D
    sequences: bool = False  #: whether there is an output after every step
    embedding: int = 0  #: size of the learned embedding, or 0
    learned_state: bool = False
    skip: bool = False  #: whether the first O inputs of a step are added to its logits
    cell_options: tuple[float, ...] = ()  #: values of the cell's options, in its order
    loss_options: tuple[float, ...] = ()  #: numbers of the loss's options, in its order
    output_shape: tuple[int, ...] = ()  #: axes of a target, if it has several

    @property
    def gates(self) -> int:
        """G, blocks of H rows of W."""
        return CELLS[self.cell].n_gates

    @property
    def states(self) -> int:
        """State vectors of a run: h, or h and c."""
        return CELLS[self.cell].n_states

    @property
    def runs(self) -> int:
        """Layers times directions; run ``layer * directions + direction``."""
        return self.layers * self.directions

    @property
    def features(self) -> int:
        """Height of a step's input: features, or the size of the embedding."""
        return self.embedding or self.input_size

    @property
    def outputs(self) -> int:
        """Numbers of an output: O, or without a head D H."""
        return self.output_size or self.directions * self.hidden_size

    @property
    def value_size(self) -> int:
        """Logits of one value; more than one if it has a distribution or several quantiles."""
        return LOSSES[self.loss].logits_of_value(self.loss_options)

    @property
    def target_size(self) -> int:
        """Numbers in a target: a class, or one for each value."""
        return 1 if LOSSES[self.loss].takes_classes else self.outputs // self.value_size

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Axes of one target."""
        return target_shape(self)

    @property
    def output_form(self) -> tuple[int, ...]:
        """Axes of one sample's logits: the values, unless it is one, and the logits of a value."""
        each, n = self.value_size, self.outputs // self.value_size
        several = n > 1 or not self.output_size
        values = self.output_shape or ((n,) if several else ())
        return values + ((each,) if each > 1 else ())

    def loss_numbers(self, skips: bool = False) -> np.ndarray:
        """Return the array that the program of the loss reads: `LossNumbers`, then the options.

        Nobody writes to it.

        skips : bool
            Whether targets that are NaN do not count.
        """
        each = self.value_size
        outputs = each if skips or each > 1 else self.outputs
        labels = LOSSES[self.loss].classifies
        return loss_numbers(outputs, skips, labels, *self.loss_options)

    @property
    def n_parameters(self) -> int:
        """Length of the flat vector."""
        return parameter_offsets(self).end

    def run_input(self, run: int) -> int:
        """Height of the input of a run."""
        above = run >= self.directions
        return self.directions * self.hidden_size if above else self.features


@functools.lru_cache(256)
def target_shape(net: Network) -> tuple[int, ...]:
    """Return the axes of one target: asked for in each call of `evaluate`, which takes 28 us."""
    return net.output_shape or (net.target_size,)


@functools.lru_cache(256)
def loss_numbers(*numbers: float) -> np.ndarray:
    """Return numbers as an array, the same one each time: a new one takes 1 us."""
    return np.array(numbers, np.float64)


class ParameterOffsets(NamedTuple):
    """Starts of the parts of the flat vector."""

    W: tuple[int, ...]  # of each run
    vectors: tuple[int, ...]  # of each run: the vectors of its cell, (n, H)
    V: int
    state: int  # h0, then c0, (runs, H) each, if learned
    embedding: int  # (vocabulary, E)
    end: int


@functools.lru_cache(256)
def parameter_offsets(net: Network) -> ParameterOffsets:
    """Return the starts of the parts of a network's flat vector of parameters."""
    H, at = net.hidden_size, 0
    W, vectors = [], []
    for run in range(net.runs):
        W.append(at)
        at += net.gates * H * (net.run_input(run) + 1 + H)
        vectors.append(at)
        at += CELLS[net.cell].n_vectors * H
    state = at + net.output_size * (1 + net.directions * H)
    embedding = state + (net.states * net.runs * H if net.learned_state else 0)
    end = embedding + (net.input_size * net.embedding)
    return ParameterOffsets(tuple(W), tuple(vectors), at, state, embedding, end)
