"""A prepared call that measures held-out data."""

from __future__ import annotations

import numpy as np

from ..data.rows import Sequences, Targets
from ..layout.batch_records import MEASURED
from ..layout.network import Network
from . import operations
from .workspace import spaces


class HeldOut:
    """Sequences to measure after each epoch, by a prepared call."""

    def __init__(
        self,
        net: Network,
        data: Sequences,
        targets: Targets,
        state: np.ndarray | None,
        parameters: np.ndarray,
    ) -> None:
        n, T = len(data.starts), int(data.lengths.max())
        self.sums = np.zeros((MEASURED, n))
        self._space = operations.prediction_space(spaces, net, T, n)
        order = operations.by_length(np.arange(n), data.lengths, n)
        self.job = operations.predictions(
            self._space, net, data, order, parameters, targets=targets, sums=self.sums, state=state
        )
