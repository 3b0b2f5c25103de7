"""Records of a stretch: some epochs of a training in one compiled call."""

from __future__ import annotations

from typing import NamedTuple

from .pointers import Doubles, Ints, Reals


class StretchJob(NamedTuple):
    """Addresses and numbers that a stretch works on."""

    train: int  # address of the program that trains for an epoch
    job: Ints  # its record, of which the fields at these places are set for each epoch
    order_at: int
    schedule_at: int
    result_at: int
    seed_at: int  # -1: there is none
    measure: int  # address of the program that measures the held-out samples, or 0
    held_out: Ints  # its record
    n_held_out: int
    sums: Doubles  # (`MEASURED`, n_held_out) that it adds to
    epochs: int
    batches: int  # of an epoch
    orders: Ints  # (epochs, n): samples to visit
    order_step: int  # from one epoch's order to the next; 0 if all are the same
    factors: Doubles  # (epochs, batches) of the learning rate
    factor_step: int
    seeds: Ints  # (epochs,)
    schedule: Doubles  # (batches,), room for the rates of an epoch
    results: Doubles  # (epochs, len(SUMS)), zeros, written
    rates: Doubles  # (epochs,), written: rate of the last batch
    measures: Doubles  # (epochs, `MEASURED`), written
    parameters: Reals
    before: Reals  # room for the parameters before an epoch
    best: Reals  # written: the parameters of the best epoch, if that is one of these
    n_parameters: int
    rules: Doubles  # `Rules`
    ending: Ints  # `Ending`, written


class Rules(NamedTuple):
    """Places of what decides between two epochs: early stopping, and the rate on a plateau."""

    rate: int  # learning rate
    monitor: int  # of early stopping, a `Monitored`
    monitor_place: int
    monitor_sign: int
    min_delta: int
    patience: int  # 0: never stop
    best: int  # the best so far, times the sign
    waited: int  # epochs since then
    plateau_monitor: int  # of the plateau schedule, a `Monitored`
    plateau_place: int
    plateau_sign: int
    plateau_patience: int
    plateau_factor: int  # 0: no plateau schedule
    plateau_threshold: int
    factor: int  # of the rate so far
    plateau_best: int
    plateau_waited: int


RULES = Rules(*range(len(Rules._fields)))


class Monitored(NamedTuple):
    """Places of what a rule watches."""

    held_out: int  # 1: the held-out samples, 0: the training
    place: int  # in the sums: loss or hits
    sign: int  # 1: less is better, -1: more is better


MONITORED = Monitored(*range(len(Monitored._fields)))


class Ending(NamedTuple):
    """Places of how a stretch has ended."""

    done: int  # finished epochs
    diverged: int  # 1: the next epoch left the finite numbers, and was undone
    improved: int  # 1: `best` was written


ENDING = Ending(*range(len(Ending._fields)))
