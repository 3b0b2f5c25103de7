"""Every option of a training, said and checked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from ..engine import threads
from ..optimizers import Optimizer, chosen_optimizer
from ..validation import Options, above_zero, option, optional, rate, whole
from .early_stopping import EarlyStopping, chosen_stopping
from .schedules import chosen_schedule


class Every(NamedTuple):
    """Interval between checkpoints."""

    epochs: int  #: 0 for the last epoch alone
    seconds: float  #: between checkpoints within epochs; 0 for none


def every(name: str, value: Any) -> Every:
    """Check an interval: epochs, or a time."""
    if isinstance(value, timedelta):
        return Every(0, above_zero(name, value.total_seconds()))
    return Every(whole(name, value), 0.0)


def or_zero(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Make a check that turns None into 0."""
    return lambda name, value: 0 if value is None else check(name, value)


def verbosity(name: str, value: Any) -> Any:
    """Check `verbose`."""
    if value not in (None, 0, 1, 2):
        raise ValueError(f"{name} must be None, False, True or 2; got {value!r}")
    return value


def as_it_is(name: str, value: Any) -> Any:
    """Let a value pass that is checked where it is used."""
    return value


@dataclass(frozen=True)
class TrainingConfig(Options):
    """Checked options of a training, named as in `fit`."""

    epochs: int = option(partial(whole, least=0), 10)
    batch_size: int | None = option(optional(whole), 32)  # None: all
    learning_rate: float | None = option(optional(rate), None)  # None: the model's
    schedule: Any = option(lambda name, value: chosen_schedule(value), None)
    optimizer: Optimizer = option(lambda name, value: chosen_optimizer(value), "sgd")
    clip_norm: float = option(or_zero(above_zero), None)  # 0: no limit
    clip_value: float = option(or_zero(above_zero), None)
    l1: Any = option(as_it_is, None)
    l2: Any = option(as_it_is, None)
    shuffle: bool = option(lambda name, value: bool(value), True)
    shuffle_block: int | None = option(optional(whole), None)
    bptt: int = option(or_zero(whole), None)  # 0: whole sequences
    validation_data: Any = option(as_it_is, None)
    validation_split: float = option(partial(rate, below=1), 0.0)
    early_stopping: EarlyStopping | None = option(lambda name, value: chosen_stopping(value), None)
    callbacks: tuple[Any, ...] = option(lambda name, value: tuple(value), ())
    checkpoint: Any = option(as_it_is, None)
    checkpoint_every: Every = option(every, 1)
    resume: bool = option(as_it_is, False)
    n_threads: int = option(lambda name, value: threads.wanted(value), None)
    verbose: bool | int | None = option(verbosity, None)
    check_finite: bool = option(as_it_is, True)

    def __post_init__(self) -> None:
        if self.validation_split and self.validation_data is not None:
            raise ValueError("validation_split cannot go with validation_data")
        if self.resume and self.checkpoint is None:
            raise ValueError("resume=True needs a checkpoint")

    def shaping(self) -> str:
        """Describe the options that decide the parameters after an epoch."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in SHAPING)


#: options that a resumed training must have as before, beside the data and the penalties
SHAPING = (
    "batch_size",
    "learning_rate",
    "schedule",
    "optimizer",
    "clip_norm",
    "clip_value",
    "shuffle",
    "bptt",
    "early_stopping",
)
