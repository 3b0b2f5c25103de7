"""Dropout and noise: all that a training draws at random beside the order of its data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..layout.network import Network


class Chance(NamedTuple):
    """Probabilities of dropout, and standard deviations of noise.

    An epoch or a pass that draws anything takes a seed.
    """

    dropout: float = 0.0  #: of an output of a layer below the top
    readout_dropout: float = 0.0  #: of an output of the top layer
    input_noise: float = 0.0
    recurrent_noise: float = 0.0  #: of the pre-activations of a cell with one row

    @property
    def draws(self) -> bool:
        """True if anything is drawn."""
        return any(self)

    @property
    def is_noisy(self) -> bool:
        """True if there is noise."""
        return self.input_noise > 0 or self.recurrent_noise > 0

    def masks(self, net: Network) -> dict[str, bool]:
        """Options of a layout: the masks that there must be room for."""
        between = self.dropout > 0 and net.layers > 1
        return {"dropout": between, "readout_dropout": self.readout_dropout > 0}

    def fields(self) -> dict[str, Any]:
        """Fields of a `BatchJob`."""
        noise = np.array([self.input_noise, self.recurrent_noise]) if self.is_noisy else None
        return {"dropout": np.array([self.dropout, self.readout_dropout]), "noise": noise}


NOTHING = Chance()
