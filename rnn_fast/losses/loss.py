"""The declaration of a loss: what its logits mean, and the names of its compiled maths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..validation import Registry

Function = Callable[[np.ndarray], np.ndarray]
#: 1.0 for a measure of which less is better, -1.0 where more is
SIGNS = {"loss": 1.0, "accuracy": -1.0, "mse": 1.0, "r2": -1.0}


@dataclass(frozen=True, eq=False)  # each is declared once; equal means the same
class Loss:
    """A loss of logits (N, O) and targets (N, Y), with Y = 1 for class indices and else Y = O.

    Parameters
    ----------
    name : str
        Key in `LOSSES`.
    kernel, output_kernel : str
        Compiled maths as ``module:function``; see `losses.kernels`.
    activation : callable
        Outputs of logits (..., O): probabilities or values.
    labels : callable or None
        Labels of logits (..., O), int64; None if the model predicts values.
    takes_classes : bool
        True if a target is one class index.
    bounds : (float, float) or None
        Limits of a target, or None.
    """

    name: str
    kernel: str
    output_kernel: str
    activation: Function
    labels: Function | None = None
    takes_classes: bool = False
    bounds: tuple[float, float] | None = None

    @property
    def classifies(self) -> bool:
        """True if the model predicts classes."""
        return self.labels is not None

    @property
    def least_outputs(self) -> int:
        """Least number of outputs."""
        return 2 if self.takes_classes else 1

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures: the loss, and accuracy or mean squared error and R2."""
        return ("loss", "accuracy") if self.classifies else ("loss", "mse", "r2")

    @property
    def sources(self) -> tuple[str, ...]:
        """Compiled maths that programs hold, as ``module:function``."""
        return self.kernel, self.output_kernel

    def target_size(self, n_outputs: int) -> int:
        """Y, numbers in a target."""
        return 1 if self.takes_classes else n_outputs

    def n_classes(self, n_outputs: int) -> int | None:
        """Classes that one target tells apart; None if it holds several numbers or values."""
        if self.takes_classes:
            return n_outputs
        return 2 if self.classifies and n_outputs == 1 else None


LOSSES: Registry[Loss] = Registry("loss")
