"""Training on what an iterable gives, item by item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import numpy as np

from ..layout.network import Network
from ..losses.measures import Spread
from .blocks import Visit
from .dataset import WEIGHTS, Dataset
from .prefetch import read_ahead


class Stream:
    """Batches, or more at a time, as an iterable gives them.

    Parameters
    ----------
    net : Network
    items : iterable
        Of (X, y), (X, y, lengths) or dicts with these names and those of weights.
    steps : int or None
        Items of an epoch, the next of which goes on where it ended; None for all there are, once
        more in each epoch.
    epochs : int
    check_finite : bool

    Raises
    ------
    TypeError, ValueError
        It cannot be gone through so often.
    """

    def __init__(
        self,
        net: Network,
        items: Iterable[Any],
        steps: int | None,
        epochs: int,
        check_finite: bool,
    ):
        if not isinstance(items, Iterable):
            raise TypeError(f"batches must be an iterable; got {type(items).__name__}")
        if steps is None and epochs > 1 and isinstance(items, Iterator):
            raise ValueError(
                f"batches is an iterator, which is used up after one of {epochs} epochs; give "
                "steps_per_epoch, or what can be gone through again"
            )
        self.net, self.items, self.steps, self.check_finite = net, items, steps, check_finite
        self._going = iter(items) if steps else None
        self._seen = Spread()

    def batches(self, batch_size: int | None) -> int | None:
        """In an epoch, if that is known before it."""
        if batch_size is not None:
            return None
        if self.steps:
            return self.steps
        return len(self.items) if isinstance(self.items, Sized) else None

    def epoch(
        self,
        generator: np.random.Generator | None,
        batch_size: int | None,
        skip: int = 0,
    ) -> Iterator[Visit]:
        """All items of an epoch, in their order, but for `skip` batches."""
        if not skip:
            self._seen = Spread()
        return self._but_for(skip, batch_size, read_ahead(self._read, self._taken()))

    def _taken(self) -> Iterator[tuple[int, Any]]:
        if self.steps is None:
            yield from enumerate(self.items)
            return
        for i in range(self.steps):
            yield i, self._next(i)

    def _next(self, i: int) -> Any:
        assert self._going is not None
        for _ in range(2):
            for item in self._going:
                return item
            again = iter(self.items)
            if again is self._going:  # an iterator has but one go
                break
            self._going = again
        raise ValueError(f"batches ended before item {i + 1} of {self.steps} of an epoch")

    def _but_for(
        self, skip: int, batch_size: int | None, visits: Iterator[Visit]
    ) -> Iterator[Visit]:
        for visit in visits:
            n = -(-len(visit.order) // (batch_size or len(visit.order)))
            if skip < n:
                yield visit._replace(skip=skip)
            skip = max(0, skip - n)

    def _read(self, item: tuple[int, Any]) -> Visit:
        i, own = item
        name = f"batches[{i}] "
        if isinstance(own, Mapping):
            named = dict(own)
        elif isinstance(own, (tuple, list)) and len(own) in (2, 3):
            named = dict(zip(("X", "y", "lengths"), own, strict=False))
        else:
            raise TypeError(
                f"batches[{i}] must be (X, y), (X, y, lengths) or a dict of arguments; got "
                f"{type(own).__name__}"
            )
        try:
            feed = Dataset(
                self.net,
                named.pop("X"),
                named.pop("y"),
                lengths=named.pop("lengths", None),
                state=named.pop("initial_state", None),
                trains=True,
                check_finite=self.check_finite,
                prefix=name,
                whole=True,
                **{key: named.pop(key) for key in WEIGHTS if key in named},
            )
        except KeyError as error:
            raise ValueError(f"{name}has no {error}") from None
        if named:
            raise ValueError(f"{name}has {', '.join(map(repr, named))}, which is none of its names")
        order = np.arange(len(feed), dtype=np.int64)
        block = feed.load(0)
        return Visit(block, order, 0, i, block.spread(self.net, order))

    def seen(self, visit: Visit) -> None:
        """Take note that all batches of a visit have been worked on."""
        self._seen += visit.spread

    def spread(self) -> Spread:
        """That of the targets seen in this epoch."""
        return self._seen

    def record(self) -> Any:
        """What has been seen, in terms of JSON."""
        return self._seen.record()

    def restore(self, record: Any, epochs: int) -> None:
        """Go on after so many epochs, and with what `record` gave."""
        self._seen = Spread(*record)
        for i in range(epochs * (self.steps or 0)):
            self._next(i)
