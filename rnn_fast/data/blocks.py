"""Blocks of sequences in memory, and visits to them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..layout.network import Network
from ..losses import LOSSES
from ..losses.measures import Spread
from .rows import Sequences, Targets
from .sequences import Input


class Block(NamedTuple):
    """Sequences in memory, with what they are compared with and start from."""

    given: Input
    targets: Targets | None
    state: np.ndarray | None

    def spread(self, net: Network, samples: np.ndarray) -> Spread:
        """That of the targets of some sequences, of a regression."""
        if LOSSES[net.loss].classifies or self.targets is None:
            return Spread()
        y, weights, rows = *self.targets, samples
        if net.sequences:
            rows = rows_of(self.given.sequences, samples)
        return Spread.of(y[rows], None if weights is None else weights[rows])


def rows_of(sequences: Sequences, samples: np.ndarray) -> np.ndarray:
    """The rows of some sequences, one behind the other."""
    _, starts, lengths = sequences
    n = lengths[samples]
    return np.repeat(starts[samples] - np.cumsum(n) + n, n) + np.arange(n.sum())


class Visit(NamedTuple):
    """A block, and what is to be visited of it."""

    block: Block
    order: np.ndarray  # (n,) int64: samples
    skip: int  # batches of them that have been visited before
    key: int  # which visit of the epoch, or of all, this is
    spread: Spread  # of the targets
