"""Interface of a training to its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from ..losses.measures import Spread
from .blocks import Visit


class Source(Protocol):
    """A source of sequences to train on: a `dataset.Part` or a `stream.Stream`."""

    def batches(self, batch_size: int | None) -> int | None:
        """Return the number of batches of an epoch, or None if it is not known before."""

    def epoch(
        self, generator: np.random.Generator | None, batch_size: int | None, skip: int = 0
    ) -> Iterator[Visit]:
        """Yield the visits of an epoch, except the first `skip` batches.

        The generator draws the order.  None: the order of the data.
        """

    def seen(self, visit: Visit) -> None:
        """Take note that the last batch of a visit is being trained on, perhaps once more."""

    def spread(self) -> Spread:
        """Return the spread of the targets seen."""

    def record(self) -> Any:
        """Return what `restore` needs, as JSON can hold it."""

    def restore(self, record: Any, epochs: int) -> None:
        """Continue after so many epochs from the state in `record`."""
