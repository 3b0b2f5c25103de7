"""Records of an update: what the program `kernels.descent` works on."""

from __future__ import annotations

from typing import NamedTuple

from .pointers import Doubles, Reals


class DescentJob(NamedTuple):
    """Addresses and numbers of an update; its `Part` records follow."""

    knobs: Doubles  # of the optimizer
    spare: Reals  # room for a register each of parameters, gradients, and the optimizer's state
    rate: Doubles  # (1,) learning rate
    result: Doubles  # `Sums`, added to
    n_parts: int


class Part(NamedTuple):
    """A vector of parameters, its gradient and its state."""

    parameters: Reals
    gradients: Reals
    moments: Reals  # rows of the optimizer's state, `stride` apart
    penalties: Reals  # l1 of each parameter, and `stride` further on l2; or 0
    stride: int
    n: int  # parameters to update
    n_gradients: int  # that count for the limits: n, and those of rows that are updated elsewhere


MOST_PARTS = 2
DESCENT = DescentJob(*range(len(DescentJob._fields)))  #: places
PART = len(Part._fields)
DESCENT_WORDS = len(DESCENT) + MOST_PARTS * PART  #: of a record
