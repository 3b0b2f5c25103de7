"""Blocks of sequences in memory, and visits to them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..layout.network import Network
from ..losses import LOSSES
from ..losses.measures import Spread
from .rows import Sequences, Targets
from .sequences import Input


class Block(NamedTuple):
    """Sequences in memory, their targets and their initial states."""

    inputs: Input
    targets: Targets | None
    state: np.ndarray | None  # (N, states, runs, H)

    def copied(self) -> Block:
        """Return the block without memory that the user has too."""
        (sequences, steps), targets = self.inputs, self.targets
        if targets is not None:
            y, weights, skips = targets
            targets = Targets(y.copy(), None if weights is None else weights.copy(), skips)
        inputs = Input(sequences._replace(x=sequences.x.copy()), steps)
        return Block(inputs, targets, self.state)

    def chosen(self, net: Network, samples: np.ndarray, *, together: bool = False) -> Block:
        """Return some sequences; what belongs to rows is not copied.

        together : bool
            Whether to copy the rows of whole sequences, to lie side by side.
        """
        (x, starts, lengths), steps = self.inputs
        starts, lengths = starts[samples], lengths[samples]
        targets, state = self.targets, self.state
        rows: Any = slice(None)
        if together and steps in (None, lengths[0]) and (lengths == lengths[0]).all():
            rows = rows_of(self.inputs.sequences, samples)
            starts = np.cumsum(lengths) - lengths
        if targets is not None:
            places = rows if net.sequences else samples
            y, weights, skips = targets
            targets = Targets(y[places], None if weights is None else weights[places], skips)
        inputs = Input(Sequences(x[rows], starts, lengths), steps)
        return Block(inputs, targets, None if state is None else state[samples])

    def spread(self, net: Network, samples: np.ndarray | None = None) -> Spread:
        """Return the spread of the targets of some sequences; an empty one for a classifier."""
        if LOSSES[net.loss].classifies or self.targets is None:
            return Spread()
        y, weights, skips = self.targets
        rows = samples
        if net.sequences and not (samples is None and self.inputs.inside is None):
            samples = np.arange(len(self.inputs)) if samples is None else samples
            rows = rows_of(self.inputs.sequences, samples)
        if rows is None:
            return Spread.of(y, weights, skips)
        return Spread.of(y[rows], None if weights is None else weights[rows], skips)


def rows_of(sequences: Sequences, samples: np.ndarray) -> np.ndarray:
    """Return the rows of some sequences, one sequence after the other."""
    _, starts, lengths = sequences
    n = lengths[samples]
    return np.repeat(starts[samples] - np.cumsum(n) + n, n) + np.arange(n.sum())


class Visit(NamedTuple):
    """A block, and the sequences of it to visit."""

    block: Block
    order: np.ndarray  # (n,) int64: samples
    skip: int  # batches of `order` that were visited before
    key: int  # number of the block, or of the item of a stream
    spread: Spread  # of the targets
    stays: bool = False  # whether the next epoch visits the same block in memory
