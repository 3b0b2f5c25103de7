"""The numbers that a compiled optimizer reads."""

from __future__ import annotations

from typing import NamedTuple

STATE_SIZES = {"sgd": 1, "rmsprop": 3, "adam": 2, "adamw": 2, "adagrad": 1}  #: rows of state
STATE_ROWS = max(STATE_SIZES.values())


class Knobs(NamedTuple):
    """Numbers of an optimizer: what it is told, see `optimizers`, and the scalars of its state."""

    momentum: float = 0.0
    decay: float = 0.0
    epsilon: float = 0.0
    weight_decay: float = 0.0
    nesterov: float = 0.0
    centered: float = 0.0
    rate_decay: float = 0.0
    clip_norm: float = 0.0  # 0: no limit
    clip_value: float = 0.0
    updates: float = 0.0  # so far
    power1: float = 1.0  # momentum**updates
    power2: float = 1.0  # decay**updates
