"""Records of an update: what the program `kernels.descent` works on."""

from __future__ import annotations

from typing import NamedTuple

from .pointers import Doubles, Ints, Reals


class DescentJob(NamedTuple):
    """Addresses and numbers of an update; its `Part` records follow."""

    knobs: Doubles  # of the optimizer
    spare: Reals  # room for a register each of parameters, gradients, and the optimizer's state
    rate: Doubles  # (1,) learning rate
    result: Doubles  # `Sums`, added to
    n_parts: int
    descend: int  # of a constrained update: address of the program that makes the step
    constraints: Ints  # `Projection` of each part


class Part(NamedTuple):
    """A vector of parameters, its gradient and its state."""

    parameters: Reals
    gradients: Reals
    moments: Reals  # rows of the optimizer's state, `stride` apart
    penalties: Reals  # l1 of each parameter, and `stride` further on l2; or 0
    stride: int
    n: int  # parameters to update
    n_gradients: int  # that count for the limits: n, and those of rows that are updated elsewhere


class Projection(NamedTuple):
    """Constraints of a part, as `constraints.Bounds` has them."""

    n: int  # parameters
    lower: Reals
    upper: Reals
    kept: Reals  # room: the parameters before an update
    places: Ints  # of the parameters of rows whose norm is limited, row after row
    ends: Ints  # of each of these rows, among the places
    limits: Doubles  # of the norm of each
    n_rows: int


MOST_PARTS = 2
DESCENT = DescentJob(*range(len(DescentJob._fields)))  #: places
PART, PROJECTION = len(Part._fields), len(Projection._fields)
DESCENT_WORDS = len(DESCENT) + MOST_PARTS * PART  #: of a record
