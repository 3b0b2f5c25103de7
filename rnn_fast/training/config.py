"""How a training goes: every option of `fit`, checked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from .. import validation
from ..engine import threads
from ..optimizers import Optimizer, chosen_optimizer
from .early_stopping import EarlyStopping, chosen_stopping
from .schedules import chosen_schedule


class Plan(NamedTuple):
    """How to train; checked values."""

    epochs: int
    batch_size: int | None  # None for all
    learning_rate: float
    schedule: Any  # one of `schedules`
    optimizer: Optimizer
    clip_norm: float  # 0 for no limit
    clip_value: float
    stopping: EarlyStopping | None
    shuffle: bool
    save_every: int  # epochs; 0 for those at the end alone
    save_seconds: float  # between checkpoints; 0 for those after epochs alone
    bptt: int  # 0 for whole sequences
    n_threads: int
    verbose: bool | int | None

    def shaping(self) -> str:
        """In words, all that the parameters after an epoch depend on."""
        own = self._replace(epochs=0, save_every=0, save_seconds=0.0, n_threads=0, verbose=None)
        return repr(own)


def checked_plan(
    epochs: Any,
    batch_size: Any,
    learning_rate: Any,
    schedule: Any,
    optimizer: Any,
    clip_norm: Any,
    clip_value: Any,
    early_stopping: Any,
    shuffle: Any,
    bptt: Any,
    save_every: Any,
    n_threads: Any,
    verbose: Any,
) -> Plan:
    """Check the arguments of `Model.fit`; raise TypeError or ValueError."""
    if verbose not in (None, 0, 1, 2):
        raise ValueError(f"verbose must be None, False, True or 2; got {verbose!r}")
    seconds = 0.0
    if isinstance(save_every, timedelta):
        seconds, save_every = save_every.total_seconds(), 0
        validation.above_zero("checkpoint_every", seconds)
    else:
        save_every = validation.whole("checkpoint_every", save_every)
    return Plan(
        epochs=validation.whole("epochs", epochs, least=0),
        batch_size=None if batch_size is None else validation.whole("batch_size", batch_size),
        learning_rate=validation.rate("learning_rate", learning_rate),
        schedule=chosen_schedule(schedule),
        optimizer=chosen_optimizer(optimizer),
        clip_norm=0.0 if clip_norm is None else validation.above_zero("clip_norm", clip_norm),
        clip_value=0.0 if clip_value is None else validation.above_zero("clip_value", clip_value),
        stopping=chosen_stopping(early_stopping),
        shuffle=bool(shuffle),
        save_every=save_every,
        save_seconds=seconds,
        bptt=0 if bptt is None else validation.whole("bptt", bptt),
        n_threads=threads.wanted(n_threads),
        verbose=verbose,
    )
