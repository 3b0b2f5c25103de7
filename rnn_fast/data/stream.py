"""Training on the items of an iterable, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..layout.network import Network
from ..losses.measures import Spread
from .blocks import Block, Visit
from .items import arguments, dataset_of
from .plain import plain_block
from .prefetch import read_ahead


class Stream:
    """Items of an iterable, each of one batch or more.

    Parameters
    ----------
    net : Network
    items : iterable
        Yields (X, y), (X, y, lengths), or dicts of these and the other `items.NAMES`.
    n_items : int or None
        Items of an epoch; the next epoch continues after them.  None: an epoch goes through all
        items, from the first on.
    epochs : int
    check_finite : bool
    missing : "nan" or None
        For items that do not say another.

    Raises
    ------
    TypeError, ValueError
        `items` is no iterable, or an iterator that ends with the first of several epochs.
    """

    def __init__(
        self,
        net: Network,
        items: Iterable[Any],
        n_items: int | None,
        epochs: int,
        check_finite: bool,
        missing: str | None = None,
    ):
        if not isinstance(items, Iterable):
            raise TypeError(f"batches must be an iterable; got {type(items).__name__}")
        if n_items is None and epochs > 1 and isinstance(items, Iterator):
            raise ValueError(
                f"batches is an iterator, which is used up after one of {epochs} epochs; pass "
                "steps_per_epoch, or an iterable that can be gone through again"
            )
        self.net, self.items, self.n_items, self.check_finite = net, items, n_items, check_finite
        self._of_all = {} if missing is None else {"missing": missing}  # items
        self._iterator = iter(items) if n_items else None
        self._seen = 0, Spread()  # items of this epoch, and the spread of their targets

    def batches(self, batch_size: int | None) -> int | None:
        """Return the number of batches of an epoch, or None if it is not known before."""
        if batch_size is not None:
            return None
        if self.n_items:
            return self.n_items
        try:
            return len(self.items) or None  # type: ignore[arg-type]
        except Exception:  # a DataLoader of an IterableDataset has __len__, which raises
            return None

    def epoch(
        self,
        generator: np.random.Generator | None,
        batch_size: int | None,
        skip: int = 0,
    ) -> Iterator[Visit]:
        """Yield the visits of an epoch, in the order of the items, except the first `skip` batches.

        The generator is not used.
        """
        if not skip:
            self._seen = 0, Spread()
        for visit in read_ahead(self._read, self._numbered()):
            n_batches = -(-len(visit.order) // (batch_size or len(visit.order)))
            if skip < n_batches:
                yield visit._replace(skip=skip)
            skip = max(0, skip - n_batches)

    def _numbered(self) -> Iterator[tuple[int, Any]]:
        """Yield the number and the item of all items of an epoch."""
        if self.n_items is None:
            yield from enumerate(self.items)
            return
        for i in range(self.n_items):
            yield i, self._next(i)

    def _next(self, i: int) -> Any:
        """Return the next item; an iterable that has ended is begun again."""
        assert self._iterator is not None
        for _ in range(2):
            for item in self._iterator:
                return item
            again = iter(self.items)
            if again is self._iterator:  # an iterator cannot be begun again
                break
            self._iterator = again
        raise ValueError(f"batches ended before item {i + 1} of {self.n_items} of an epoch")

    def _read(self, numbered: tuple[int, Any]) -> Visit:
        i, item = numbered
        named = {**self._of_all, **arguments(f"batches[{i}]", item)}
        if len(named) == 2 and named["y"] is not None:
            plain = plain_block(self.net, named["X"], named["y"], self.check_finite)
            if plain is not None:
                return self._visit(i, plain)
        dataset = dataset_of(
            self.net, named, f"batches[{i}] ", self.check_finite, trains=True, whole=True
        )
        # the iterable may fill the same arrays again: copied before it is asked for the next item,
        # at 0.2 s a GB, by the reader thread
        return self._visit(i, dataset.load(0).copied())

    def _visit(self, i: int, block: Block) -> Visit:
        order = np.arange(len(block.inputs), dtype=np.int64)
        return Visit(block, order, 0, i, block.spread(self.net, order))

    def seen(self, visit: Visit) -> None:
        """Take note that the last batch of a visit is being trained on, perhaps once more."""
        n, spread = self._seen
        if visit.key == n:
            self._seen = n + 1, spread + visit.spread

    def spread(self) -> Spread:
        """Return the spread of the targets seen in this epoch."""
        return self._seen[1]

    def record(self) -> Any:
        """Return what `restore` needs, as JSON can hold it."""
        n, spread = self._seen
        return [n, *spread.record()]

    def restore(self, record: Any, epochs: int) -> None:
        """Continue after so many epochs from the state in `record`."""
        n, *spread = record
        self._seen = n, Spread(*spread)
        for i in range(epochs * (self.n_items or 0)):
            self._next(i)
