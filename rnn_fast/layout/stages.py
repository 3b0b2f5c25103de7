"""Halves of a batch's work, for losses from elsewhere; states to write and to penalise."""

from __future__ import annotations

from typing import NamedTuple


class Stages(NamedTuple):
    """Choice of what an epoch's program does with its batches."""

    whole: int  # forward, loss, backward, update
    forward: int  # one window forward: outputs, final states
    backward: int  # the same window backward, from gradients in place of targets; update


STAGES = Stages(0, 1, 2)


class Given(NamedTuple):
    """Places of what the backward stage of a window gets in place of its losses."""

    divisor: int  # of all gradients; 0: nothing counts, and there is no update
    loss: int  # as of `Sums`, added to them with the update
    hits: int
    weight: int


GIVEN = Given(*range(4))


class Activity(NamedTuple):
    """Places of the coefficients of a penalty of the states h: of |h| and of h^2 / 2."""

    l1: int
    l2: int


ACTIVITY = Activity(*range(2))


class Wanted(NamedTuple):
    """A state that is written after each step: its place among the columns of `BatchJob.hidden`."""

    run: int
    state: int  # 0: h, 1: c
    column: int
