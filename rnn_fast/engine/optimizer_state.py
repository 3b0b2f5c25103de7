"""An optimizer at work on a vector of parameters: its settings and its state."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import Program
from ..layout.descent import DESCENT as PLACES
from ..layout.descent import DESCENT_WORDS
from ..layout.memory import ALIGN, aligned, round_up
from ..layout.network import Network, parameter_offsets
from ..optimizers import Optimizer
from ..optimizers.optimizer import Limits
from .workspace import address, foreign

DESCENT = Program("rnn_fast.kernels.descent", "descent", job="integers")
CLIP_NORM, CLIP_VALUE = map(Limits._fields.index, ("clip_norm", "clip_value"))
REGISTER = 64  #: elements, at least one vector register


class Descent:
    """An optimizer and its state, for n parameters.

    Attributes
    ----------
    optimizer : Optimizer
    knobs : ndarray of float64
        As `Optimizer.knobs` makes them; updated in place.
    moments : (rows * n,) array
        Rows are as long as the parameters.
    penalties : (2 * n,) array or None
        l1 and l2 of each parameter.
    gradients : (n,) array
        Of the last update; an embedding's are zero between updates.
    record : ndarray of int64
        A `DescentJob`, the most of which the drivers fill.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        n: int,
        dtype: np.dtype,
        *,
        penalties: np.ndarray | None = None,
        clip_norm: float = 0.0,
        clip_value: float = 0.0,
    ):
        self.optimizer, self.knobs = optimizer, optimizer.knobs(clip_norm, clip_value)
        self.penalties, self._start = penalties, self.knobs.copy()
        rows = len(optimizer.state)
        parts = [round_up(rows * n, ALIGN), round_up(n, ALIGN), (2 + rows) * REGISTER]
        memory = aligned(sum(parts), dtype)
        self.moments = memory[: rows * n]
        self.gradients = memory[parts[0] : parts[0] + n]
        self.spare = memory[parts[0] + parts[1] :]
        self.record = np.zeros(DESCENT_WORDS, np.int64)
        self.record[PLACES.knobs] = address(self.knobs)
        self.record[PLACES.spare] = address(self.spare)

    def program(self) -> Any:
        """Return the program that makes an update, compiled on first use."""
        sources = foreign(self.optimizer.sources())
        return DESCENT(self.gradients.dtype.name, self.optimizer.name, sources=sources)

    def reset(self) -> None:
        """Put the state back to before the first update."""
        self.knobs[:] = self._start
        self.moments[:] = 0

    def limit(self, clip_norm: float, clip_value: float) -> None:
        """Set the limits of the gradient; 0 is none."""
        self.knobs[CLIP_NORM], self.knobs[CLIP_VALUE] = clip_norm, clip_value

    def sparse(self, net: Network) -> bool:
        """Return whether a gradient of zero leaves a row of the embedding as it is."""
        if not net.embedding:
            return False
        start = parameter_offsets(net).embedding
        free = self.penalties is None or not self.penalties.reshape(2, -1)[:, start:].any()
        return self.optimizer.is_plain and free
