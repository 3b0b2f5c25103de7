"""Record of a loss: what the program `kernels.loss` works on."""

from __future__ import annotations

from typing import NamedTuple

from .pointers import Doubles, Reals


class LossJob(NamedTuple):
    """Samples in lanes, and where their losses go."""

    numbers: Doubles  # `LossNumbers`, then the loss's options
    logits: Reals  # (O, lanes), overwritten by the gradient of the loss
    targets: Reals  # (Y, lanes), where NaN that does not count becomes 0
    weights: Reals  # (lanes): weight of each sample in the gradient
    losses: Reals  # (lanes), written: unweighted
    hits: Reals  # (lanes), written: 1 where the prediction is right, else 0; of values e**2
    scale: float  # of all gradients
    lanes: int
    O: int  # logits of a sample
    outputs: Doubles  # (O,), written instead of all else: outputs of the sample in lane 0; or 0
