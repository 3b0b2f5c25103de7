"""An optimizer at work on a vector of parameters: its settings and its state."""

from __future__ import annotations

import numpy as np

from ..layout.memory import aligned
from ..layout.network import Network, parameter_offsets
from ..optimizers.record import STATE_ROWS, STATE_SIZES, Knobs


class Descent:
    """An optimizer at work on n parameters: what it is told, and its state.

    Attributes
    ----------
    name : str
        Key in `layout.OPTIMIZERS`.
    knobs : (len(Knobs),) float64 array
    moments : (rows * n,) array
        Rows are as long as the parameters.
    penalties : (2 * n,) array or None
        l1 and l2 of each parameter.
    gradients : (n,) array
        Of the last update; those by an embedding are zero between updates.
    """

    def __init__(
        self,
        name: str,
        knobs: Knobs,
        n: int,
        dtype: np.dtype,
        penalties: np.ndarray | None = None,
    ):
        self.name, self.knobs = name, np.array(knobs, np.float64)
        self.penalties = penalties
        self.moments = aligned(STATE_SIZES[name] * n, dtype)
        self.gradients = aligned(n, dtype)
        self.spare = aligned((2 + STATE_ROWS) * 64, dtype)

    def sparse(self, net: Network) -> bool:
        """Whether a gradient of zero leaves a row of the embedding as it is."""
        knobs, start = Knobs(*self.knobs.tolist()), parameter_offsets(net).embedding
        plain = self.name == "sgd" and not (knobs.momentum or knobs.weight_decay)
        free = self.penalties is None or not self.penalties.reshape(2, -1)[:, start:].any()
        return plain and free
