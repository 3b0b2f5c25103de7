"""The interface of a training to its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from ..losses.measures import Spread
from .blocks import Visit


class Source(Protocol):
    """What a training visits: a `feeds.Part` or a `streams.Stream`."""

    def batches(self, batch_size: int | None) -> int | None:
        """In an epoch, if that is known before it."""

    def epoch(
        self, generator: np.random.Generator | None, batch_size: int | None, skip: int = 0
    ) -> Iterator[Visit]:
        """What there is to visit in an epoch, but for the first batches; shuffled, if by whom."""

    def seen(self, visit: Visit) -> None:
        """Take note that all batches of a visit have been worked on."""

    def spread(self) -> Spread:
        """That of the targets seen."""

    def record(self) -> Any:
        """What has been seen, in terms of JSON."""

    def restore(self, record: Any, epochs: int) -> None:
        """Go on after so many epochs, and with what `record` gave."""
