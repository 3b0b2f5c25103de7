"""Dropout and noise: all that a training draws at random beside the order of its data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..layout.network import Network
from ..validation import whole


class Noise(NamedTuple):
    """Noise of a prediction, which has no dropout."""

    deviations: np.ndarray  #: `Chance.deviations`
    seed: int  #: in [0, 2**62)

    def fields(self, window: int) -> dict[str, Any]:
        """Fields of a `BatchJob` for a window of steps."""
        return {"noise": self.deviations, "seed": self.seed + window}


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

    @property
    def deviations(self) -> np.ndarray:
        """Standard deviations of the noise, (2,) float64, as a `BatchJob` has them."""
        return np.array([self.input_noise, self.recurrent_noise])

    def noise(self, noise_seed: Any) -> Noise | None:
        """Return the noise of a prediction; None without a seed.

        Raises
        ------
        TypeError, ValueError
            The seed is no integer of at least 0, or there are no deviations.
        """
        if noise_seed is None:
            return None
        seed = whole("noise_seed", noise_seed, least=0)
        if not self.is_noisy:
            raise ValueError("noise_seed is for models with input_noise or recurrent_noise")
        # a window of steps adds 1: neighbours among seeds must not be neighbours there
        return Noise(self.deviations, int(np.random.default_rng(seed).integers(2**62)))

    def masks(self, net: Network) -> dict[str, bool]:
        """Options of a layout: the masks that there must be room for."""
        between = self.dropout > 0 and net.layers > 1
        return {"dropout": between, "readout_dropout": self.readout_dropout > 0}

    def fields(self) -> dict[str, Any]:
        """Fields of a `BatchJob`."""
        noise = self.deviations if self.is_noisy else None
        return {"dropout": np.array([self.dropout, self.readout_dropout]), "noise": noise}


NOTHING = Chance()
