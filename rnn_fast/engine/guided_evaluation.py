"""Measures whose loss is a function from elsewhere."""

from __future__ import annotations

import math

import numpy as np

from ..data.blocks import Block
from ..data.parts import Part
from ..layout.network import Network
from .evaluation import Evaluation
from .guide import Guide, LossFunction
from .held_out import HeldOut


class GuidedEvaluation(Evaluation):
    """Measures whose loss is a function from elsewhere, of all sequences at once."""

    def __init__(self, net: Network, parameters: np.ndarray, function: LossFunction) -> None:
        super().__init__(net, parameters)
        self._function = function

    def measure(self, part: Part, n_threads: int | None = None) -> dict[str, float]:
        """Return the measures of some sequences of a dataset; the loss is the function's."""
        measures = super().measure(part, n_threads)
        losses = weights = 0.0
        for visit in part:
            block = visit.block if part.is_whole else visit.block.chosen(self._net, visit.order)
            assert block.targets is not None
            outputs = self.logits(block.inputs.sequences, n_threads, state=block.state)
            value, weight = measured(self._net, self._function, block, outputs)
            losses, weights = losses + value * weight, weights + weight
        return {**measures, "loss": losses / weights if weights else math.nan}

    def held_out(self, part: Part) -> HeldOut | None:
        """Return None: no compiled call knows the function."""
        return None


def measured(
    net: Network, function: LossFunction, block: Block, outputs: np.ndarray
) -> tuple[float, float]:
    """Return the loss that a function gives all outputs of a block, and their weight."""
    assert block.targets is not None
    guide = Guide(function)
    guide.load(
        net, block.inputs.sequences, block.targets, int(block.inputs.sequences.lengths.max())
    )
    return guide.measure(outputs)
