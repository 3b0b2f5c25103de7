"""Schedules of the learning rate during a `fit`.

A schedule returns factors of the learning rate at positions x of the training, in epochs: x is 0.5
after half of the first epoch's updates.  One update advances x by a `step`.  The factors of a
steady schedule are 1 everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from .. import validation
from ..validation import above_zero, check_fields, rate, whole
from .monitor import Measure, Mode, mode, monitor


@dataclass(frozen=True)
class Constant:
    """A constant rate."""

    name: ClassVar[str] = "constant"
    is_steady: ClassVar[bool] = True

    def factors(self, x: np.ndarray, epochs: int, step: float = 1.0) -> np.ndarray:
        """1."""
        return np.ones_like(x)


@dataclass(frozen=True)
class Step:
    """Multiply by `factor` every so many epochs.

    Parameters
    ----------
    every : int
        Epochs.
    factor : float
    """

    every: int = 10
    factor: float = 0.1

    name: ClassVar[str] = "step"
    is_steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self, every=whole, factor=above_zero)

    def factors(self, x: np.ndarray, epochs: int, step: float = 1.0) -> np.ndarray:
        """``factor ** floor(x / every)``."""
        return powers(self.factor, np.floor(x / self.every))


@dataclass(frozen=True)
class Exponential:
    """Multiply by `factor` with each epoch.

    Parameters
    ----------
    factor : float
    """

    factor: float = 0.95

    name: ClassVar[str] = "exponential"
    is_steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self, factor=above_zero)

    def factors(self, x: np.ndarray, epochs: int, step: float = 1.0) -> np.ndarray:
        """``factor ** floor(x)``."""
        return powers(self.factor, np.floor(x))


@dataclass(frozen=True)
class Cosine:
    """Follow half a cosine from 1 to `end` over all epochs (Loshchilov and Hutter, 2017).

    Parameters
    ----------
    end : float
        In [0, 1].
    """

    end: float = 0.0

    name: ClassVar[str] = "cosine"
    is_steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self, end=rate)
        if self.end > 1:
            raise ValueError(f"end must be at most 1; got {self.end}")

    def factors(self, x: np.ndarray, epochs: int, step: float = 1.0) -> np.ndarray:
        """``end + (1 - end) (1 + cos(pi x / epochs)) / 2``."""
        return self.end + (1 - self.end) * (1 + np.cos(math.pi * x / epochs)) / 2


@dataclass(frozen=True)
class ReduceOnPlateau:
    """Multiply by `factor` when a measure has not improved for more than `patience` epochs.

    As in PyTorch.  NaN is never better.

    Parameters
    ----------
    factor : float
        In (0, 1).
    patience : int
        Epochs without improvement before the rate falls.
    threshold : float
        An improvement is a value below ``best (1 - threshold)``, or for a measure to be maximised
        above ``best (1 + threshold)``.
    monitor, mode
        As of `EarlyStopping`.
    """

    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    monitor: Measure | None = None
    mode: Mode = "auto"

    name: ClassVar[str] = "plateau"
    is_steady: ClassVar[bool] = True

    def __post_init__(self) -> None:
        share = partial(rate, below=1)
        check_fields(self, patience=partial(whole, least=0), threshold=share, factor=share)
        check_fields(self, factor=above_zero, monitor=monitor, mode=mode)

    def factors(self, x: np.ndarray, epochs: int, step: float = 1.0) -> np.ndarray:
        """1; a `Plateau` has the factor so far."""
        return np.ones_like(x)


@dataclass(frozen=True)
class WarmUp:
    """Rise in a straight line to 1 over the first `epochs`, then follow another schedule.

    Parameters
    ----------
    epochs : float
        Also a fraction of an epoch.
    then : schedule, str or callable
        A schedule whose factors are multiplied with the line's.
    """

    epochs: float = 1.0
    then: Schedule | ScheduleName = field(default_factory=Constant)

    name: ClassVar[str] = "warmup"
    is_steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self, epochs=above_zero, then=chosen_schedule)

    def factors(self, x: np.ndarray, epochs: int, step: float = 1.0) -> np.ndarray:
        """``min(1, (x + step) / epochs)``."""
        line = np.minimum(x + step, self.epochs) / self.epochs
        then: Any = self.then  # as `chosen_schedule` returned it
        return line * then.factors(x, epochs, step)


@dataclass(frozen=True, repr=False)
class ByEpoch:
    """Multiply by what a function of the epoch returns, as PyTorch's LambdaLR.

    Parameters
    ----------
    function : callable
        ``function(epoch)`` returns a factor that is finite and not negative; `epoch` is an int,
        the number of epochs before.
    """

    function: Callable[[int], float]

    is_steady: ClassVar[bool] = False

    def factors(self, x: np.ndarray, epochs: int, step: float = 1.0) -> np.ndarray:
        """``function(floor(x))``."""
        past, places = np.unique(np.floor(x), return_inverse=True)
        return np.array([self._factor(int(epoch)) for epoch in past])[places]

    def _factor(self, epoch: int) -> float:
        return rate(f"schedule({epoch})", self.function(epoch))

    def __repr__(self) -> str:
        """Return the qualified name of the function, or of the class of a callable object.

        The name is the same in every process: it has neither an address nor the module, which is
        ``__main__`` in one process and ``__mp_main__`` in the next.
        """
        return validation.qualified(self.function)


KINDS: tuple[Any, ...] = (Constant, Step, Exponential, Cosine, ReduceOnPlateau, WarmUp)
ScheduleName = Literal["constant", "step", "exponential", "cosine", "plateau", "warmup"]
#: an object of one of these classes, or a function of the epoch
Schedule: TypeAlias = (
    Constant | Step | Exponential | Cosine | ReduceOnPlateau | WarmUp | Callable[[int], float]
)
SCHEDULES = {kind.name: kind for kind in KINDS}


def powers(factor: float, n: np.ndarray) -> np.ndarray:
    """Return ``factor ** n``, which may become 0."""
    with np.errstate(under="ignore"):
        return factor**n


def chosen_schedule(name: str, value: Any) -> Any:
    """Return `value` as a schedule.

    A name stands for a schedule with its defaults, None for a constant; a callable for `ByEpoch`.

    Raises
    ------
    TypeError, ValueError
        `value` is none of these.
    """
    if value is None:
        return Constant()
    if isinstance(value, KINDS):
        return value
    if callable(value) and not isinstance(value, type):
        return ByEpoch(value)
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be a name, an object such as Cosine() or a function of the epoch; got "
            f"{validation.shown(value)}"
        )
    return SCHEDULES[validation.choice(name, value, SCHEDULES)]()
