"""Every option of a training, said and checked once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..data.items import arguments
from ..data.targets import missing_word
from ..data.weights import count_classes
from ..engine.guide import LossFunction
from ..layout.network import Network
from ..optimizers import Optimizer, chosen_optimizer
from ..saving.checkpoint import check_path
from ..validation import (
    Options,
    above_zero,
    as_it_is,
    fits,
    flag,
    option,
    optional,
    or_zero,
    qualified,
    rate,
    shown,
    whole,
)
from .early_stopping import EarlyStopping, Watch, chosen_stopping
from .rates import Plateau
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


def verbosity(name: str, value: Any) -> int | None:
    """Check `verbose`: None, False, True or 2; 0 and 1 are False and True."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_, int, np.integer)) and value in (0, 1, 2):
        return int(value)
    raise ValueError(f"{name} must be None, False, True or 2; got {shown(value)}")


def function(name: str, value: Any) -> Callable[..., Any]:
    """Check a callable."""
    if not callable(value):
        raise TypeError(f"{name} must be callable; got {shown(value)}")
    return value


def functions(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """Check an iterable of callables."""
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        items = iter(value)
    except TypeError:
        advice = "; one callable goes into a list" if callable(value) else ""
        raise TypeError(
            f"{name} must be an iterable of callables; got {shown(value)}{advice}"
        ) from None
    calls = tuple(items)
    for i, call in enumerate(calls):
        if not callable(call):
            raise TypeError(f"{name}[{i}] must be callable; got {shown(call)}")
    return calls


def is_true(name: str, result: Any) -> bool:
    """Return whether the result of a callback is true: a bool of Python, NumPy or PyTorch.

    Raises
    ------
    TypeError
        `result` is an array of several elements, or of none.
    """
    if isinstance(result, bool):
        return result
    kind, shape = getattr(result, "dtype", None), getattr(result, "shape", None)
    if kind is None or shape is None or isinstance(result, type):
        return False
    if math.prod(shape) != 1:
        raise TypeError(
            f"{name} must return a bool or None; got {type(result).__name__} of shape "
            f"{tuple(shape)}: use all() or any()"
        )
    return "bool" in str(kind) and bool(result)


@dataclass(frozen=True)
class TrainingConfig(Options):
    """Checked options of a training, named as in `fit`."""

    loss: LossFunction | None = option(optional(function), None)  # None: the model's
    epochs: int = option(partial(whole, least=0), 10)
    batch_size: int | None = option(optional(whole), 32)  # None: all
    learning_rate: float | None = option(optional(rate), None)  # None: the model's
    schedule: Any = option(chosen_schedule, None)
    optimizer: Optimizer = option(lambda name, value: chosen_optimizer(value), "sgd")
    clip_norm: float = option(or_zero(above_zero), None)  # 0: no limit
    clip_value: float = option(or_zero(above_zero), None)
    l1: Any = option(as_it_is, None)
    l2: Any = option(as_it_is, None)
    activity_l1: float = option(or_zero(rate), None)
    activity_l2: float = option(or_zero(rate), None)
    shuffle: bool = option(flag, True)
    shuffle_block: int | None = option(optional(whole), None)
    bptt: int = option(or_zero(whole), None)  # 0: whole sequences
    missing: str | None = option(missing_word, None)
    validation_data: dict[str, Any] | None = option(optional(arguments), None)
    validation_split: float = option(partial(rate, below=1), 0.0)
    stratify: bool = option(flag, False)
    early_stopping: EarlyStopping | None = option(lambda name, value: chosen_stopping(value), None)
    callbacks: tuple[Callable[..., Any], ...] = option(functions, ())
    checkpoint: str | None = option(optional(check_path), None)
    checkpoint_every: Every = option(every, 1)
    resume: bool = option(flag, False)
    keep_optimizer: bool = option(flag, False)
    n_threads: int = option(whole, 1)
    verbose: int | None = option(verbosity, None)
    check_finite: bool = option(flag, True)

    def __post_init__(self) -> None:
        if self.validation_split and self.validation_data is not None:
            raise ValueError("validation_split cannot go with validation_data")
        if self.stratify and not self.validation_split:
            raise ValueError("stratify=True needs a validation_split")
        if self.resume and self.checkpoint is None:
            raise ValueError("resume=True needs a checkpoint")

    @property
    def activity(self) -> tuple[float, float]:
        """Coefficients of the penalty of the states."""
        return self.activity_l1, self.activity_l2

    @property
    def validates(self) -> bool:
        """True if there are validation data."""
        return self.validation_data is not None or self.validation_split > 0

    def rules(self, net: Network) -> tuple[Watch, Plateau]:
        """Return early stopping and a `ReduceOnPlateau` before the first epoch.

        Raises
        ------
        ValueError
            The training will not have a measure that one of them watches.
        """
        about = net, self.validates
        return Watch.of(self.early_stopping, *about), Plateau.of(self.schedule, *about)

    def check_network(self, net: Network) -> None:
        """Raise ValueError for an option that is not for a network, or not for its dtype."""
        if self.bptt and net.directions == 2:
            raise ValueError("bptt is not for bidirectional models: they read from the end")
        if self.stratify and (net.sequences or count_classes(net) is None):
            raise ValueError(
                "stratify=True needs one class a sequence: loss cross_entropy, or bce with one "
                "output, without return_sequences"
            )
        self.rules(net)
        self.check_dtype(net.dtype)

    def check_dtype(self, dtype: np.dtype) -> None:
        """Raise ValueError for a number that overflows in a dtype, or becomes 0 there.

        The factors of a schedule only rise or only fall, so the first and the last decide.  A
        callable is called for these two epochs as well; the others are checked in their turn.
        """
        for name in ("learning_rate", "clip_norm", "clip_value", "activity_l1", "activity_l2"):
            fits(name, getattr(self, name), dtype)
        self.optimizer.check_dtype(dtype)
        if self.schedule.is_steady:
            return
        ends = np.array([0.0, max(self.epochs - 1, 0)])
        with np.errstate(all="ignore"):
            factors = self.schedule.factors(ends, max(self.epochs, 1)).tolist()
        largest = self.learning_rate * max(factors)
        fits("learning_rate times the largest factor of schedule", largest, dtype)

    def shaping(self) -> str:
        """Describe the options that decide the parameters after an epoch."""
        options = [f"{name}={getattr(self, name)!r}" for name in SHAPING]
        if self.loss is not None:
            options.append(f"loss={qualified(self.loss)}")
        return ", ".join(options)


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
    "activity",
)
