"""Losses of signals, which couple the steps of a sequence: callables of whole outputs, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..validation import above_zero, check_fields, finite


@dataclass(frozen=True)
class ErrorToSignal:
    """Error-to-signal ratio: energy of the error over energy of the target, after a high-pass.

    ``sum |p(y) - p(z)|**2 / (sum |p(y)|**2 + floor)`` with ``p(y)_t = y_t - a y_{t-1}``, and y = 0
    before the first step (Wright et al., 2020, Applied Sciences 10, 766).  The sums are over all
    sequences, steps and outputs of a batch that count.  To be passed to `fit` as `loss`, for a
    model with an output after every step.

    Parameters
    ----------
    pre_emphasis : float
        a; 0 for no filter.
    floor : float
        Added to the energy of the target: for batches that are all but silent.
    """

    pre_emphasis: float = 0.85
    floor: float = 1e-5

    def __post_init__(self) -> None:
        check_fields(self, pre_emphasis=finite, floor=above_zero)

    def __call__(
        self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        """Return the ratio, and its gradient with respect to the outputs.

        Parameters
        ----------
        outputs, targets : (N, T, O) or (N, T) arrays
        weights : (N, T) array, optional
            Of each step; steps of weight 0 are as silence to the steps after them.

        Raises
        ------
        ValueError
            The shapes do not fit.
        """
        if outputs.shape != targets.shape or outputs.ndim not in (2, 3):
            raise ValueError(
                "targets must have the shape of the outputs, (N, T, O) or (N, T); got "
                f"{targets.shape} for {outputs.shape}"
            )
        w = np.ones(outputs.shape[:2]) if weights is None else np.asarray(weights, float)
        w = w.reshape(*outputs.shape[:2], *[1] * (outputs.ndim - 2))
        there = w > 0
        y = np.where(there, targets, 0).astype(float)
        e = self._filtered(np.where(there, outputs, 0) - y)
        energy = float((w * self._filtered(y) ** 2).sum()) + self.floor
        # value = sum w e_t**2 / energy, e_t = (z - y)_t - a (z - y)_{t-1}
        de = 2 * w * e / energy
        dz = de.copy()
        dz[:, :-1] -= self.pre_emphasis * de[:, 1:]
        return float((w * e**2).sum()) / energy, np.where(there, dz, 0).astype(outputs.dtype)

    def _filtered(self, signal: np.ndarray) -> np.ndarray:
        """Return p(signal)."""
        filtered = signal.copy()
        filtered[:, 1:] -= self.pre_emphasis * signal[:, :-1]
        return filtered
