"""Parts of the sequences of a dataset, and their visits in an epoch.

An epoch visits the blocks in random order, and the sequences of each block in random order.  So
with a single block the shuffling is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from ..layout.network import Network
from ..losses.measures import Spread
from .blocks import Block, Visit
from .prefetch import read_ahead


class Blocks(Protocol):
    """Blocks of sequences, see `dataset.Dataset`."""

    net: Network
    trains: bool
    blocks: list[tuple[int, int]]  #: first sequence of each, and the one after its last

    def load(self, k: int) -> Block:
        """Return block k."""


def n_batches(n: int, batch_size: int | None) -> int:
    """Return the number of batches of n sequences of a block; None: one, unless n is 0."""
    return -(-n // (batch_size or n or 1))


class Part:
    """Some sequences of each block of a dataset.

    Parameters
    ----------
    dataset : Blocks
    choose : callable
        ``choose(k)`` returns sequences of block k in ascending order.
    sizes : list of int
        Number of sequences that are chosen of each block; may be 0.
    is_whole : bool
        Whether all sequences are chosen.
    """

    def __init__(
        self,
        dataset: Blocks,
        choose: Callable[[int], np.ndarray],
        sizes: list[int],
        is_whole: bool = False,
    ):
        self.dataset, self.samples, self.sizes, self.is_whole = dataset, choose, sizes, is_whole
        self._only = choose(0) if len(sizes) == 1 else None  # sequences of a single block
        self._spreads: dict[int, Spread] = {}

    def __len__(self) -> int:
        return sum(self.sizes)

    @property
    def is_single(self) -> bool:
        """True if all sequences are in memory, in one block."""
        return self._only is not None

    def batches(self, batch_size: int | None) -> int:
        """Return the number of batches of an epoch; no batch is of two blocks."""
        return sum([n_batches(n, batch_size) for n in self.sizes])

    def seen(self, visit: Visit) -> None:
        """Take note that the last batch of a visit is being trained on, perhaps once more."""
        self._spreads[visit.key] = visit.spread

    def spread(self) -> Spread:
        """Return the spread of the targets seen."""
        first, *rest = [self._spreads[k] for k in sorted(self._spreads)] or [Spread()]
        return sum(rest, first)

    def record(self) -> Any:
        """Return what `restore` needs, as JSON can hold it."""
        return [[k, *spread.record()] for k, spread in self._spreads.items()]

    def restore(self, record: Any, epochs: int) -> None:
        """Continue after so many epochs from the state in `record`."""
        self._spreads = {k: Spread(*rest) for k, *rest in record}

    def epoch(
        self,
        generator: np.random.Generator | None,
        batch_size: int | None,
        skip: int = 0,
    ) -> Iterator[Visit]:
        """Return an iterator of the visits of an epoch, except the first `skip` batches.

        The generator draws the order, now.  None: the order of the data.
        """
        if self._only is not None:
            return iter([self._visit(0, self.order(generator), skip, stays=True)])
        places, seed = np.arange(len(self.sizes)), None
        if generator is not None:
            places, seed = generator.permutation(places), int(generator.integers(2**62))
        visits = []
        for k in places.tolist():
            n = n_batches(self.sizes[k], batch_size)
            if skip < n:
                visits.append((k, seed, skip))
            skip = max(0, skip - n)
        return read_ahead(self._read, visits)

    def order(self, generator: np.random.Generator | None) -> np.ndarray:
        """Return the order of the next epoch, as `epoch` does, of a part that `is_single`."""
        order = self._only
        assert order is not None
        if generator is not None and len(order) > 1:  # one is in order, and draws nothing
            order = order[generator.permutation(len(order))]
        return order

    def _read(self, visit: tuple[int, int | None, int]) -> Visit:
        k, seed, skip = visit
        order = self.samples(k)
        if seed is not None:
            order = order[np.random.default_rng([seed, k]).permutation(len(order))]
        return self._visit(k, order, skip)

    def _visit(self, k: int, order: np.ndarray, skip: int, stays: bool = False) -> Visit:
        block, spread = self.dataset.load(k), self._spreads.get(k)
        if spread is None:
            spread = block.spread(self.dataset.net, self.samples(k))
        return Visit(block, order, skip, k, spread, stays)

    def __iter__(self) -> Iterator[Visit]:
        """Visit all blocks in their order."""
        return self.epoch(None, None)
