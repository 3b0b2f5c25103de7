"""Checks of settings: sizes, rates, choices, the seed.

Each function takes the argument's name, for the message, and returns a plain Python value.  A bool
is not accepted as a number; NumPy's numbers are.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, field, fields
from numbers import Real
from typing import Any, Protocol, TypeVar

import numpy as np

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return `value` as an int of at least `least`.

    Raises
    ------
    TypeError
        `value` is not an integer; 3.0 is none.
    ValueError
        `value` is too small.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}; got {number}")
    return number


def real(name: str, value: Any) -> float:
    """Return `value` as a float: infinite for an int or a fraction beyond float64.

    Raises
    ------
    TypeError
        `value` is not a real number.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number; got {value!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def rate(name: str, value: Any, below: float = math.inf) -> float:
    """Return `value` as a float with ``0 <= value < below``.

    Raises
    ------
    TypeError
        `value` is not a real number.
    ValueError
        `value` is out of range or NaN.
    """
    number = real(name, value)
    if not 0 <= number < below:
        allowed = f"in [0, {below:g})" if below < math.inf else "finite and not negative"
        raise ValueError(f"{name} must be {allowed}; got {value!r}")
    return number


def above_zero(name: str, value: Any) -> float:
    """Return `value` as a finite float above 0.

    Raises
    ------
    TypeError
        `value` is not a real number.
    ValueError
        `value` is out of range or NaN.
    """
    if rate(name, value) == 0:
        raise ValueError(f"{name} must be above 0; got {value!r}")
    return float(value)


def finite(name: str, value: Any) -> float:
    """Return `value` as a finite float.

    Raises
    ------
    TypeError
        `value` is not a real number.
    ValueError
        `value` is NaN or infinite.
    """
    number = real(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {value!r}")
    return number


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool.

    Raises
    ------
    TypeError
        `value` is not a bool; 0 is none.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def choice(name: str, value: Any, options: Collection[str]) -> str:
    """Return `value`, one of `options`.

    Raises
    ------
    TypeError
        `value` is not a string.
    ValueError
        `value` is another string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string; got {value!r}")
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}; got {value!r}")
    return value


def real_dtype(value: Any) -> np.dtype:
    """Return `value` as the dtype of a model, float32 or float64.

    Raises
    ------
    TypeError
        `value` is not a dtype; None is none.
    ValueError
        `value` is another dtype.
    """
    try:
        if value is None:
            raise TypeError
        dtype = np.dtype(value)
    except TypeError:
        raise TypeError(f"dtype must be float32 or float64; got {value!r}") from None
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be float32 or float64; got {dtype}")
    return DTYPES[DTYPES.index(dtype)]


def generator(seed: Any) -> np.random.Generator:
    """Return the generator that `numpy.random.default_rng` makes of a seed.

    A Generator is returned itself, not a copy.

    Raises
    ------
    TypeError, ValueError
        `seed` is none that NumPy accepts.
    """
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(f"seed: {error}") from None


def optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Make a check that lets None pass."""
    return lambda name, value: None if value is None else check(name, value)


def option(check: Callable[[str, Any], Any], default: Any = MISSING, doc: str = "") -> Any:
    """Declare an option of an `Options` record: its check, its default, its description."""
    return field(default=default, metadata={"check": check, "doc": doc})


class Options:
    """Base of a frozen dataclass whose fields are made by `option`."""

    @classmethod
    def checked(cls, arguments: Mapping[str, Any], **shown: str) -> Any:
        """Make the record of checked values; `arguments` may hold others as well.

        Parameters
        ----------
        **shown : str
            Names for messages, where they are not the options' own.

        Raises
        ------
        TypeError, ValueError
            As the check of an option raises.
        """
        return cls(
            **{
                each.name: each.metadata["check"](
                    shown.get(each.name, each.name), arguments.get(each.name, each.default)
                )
                for each in fields(cls)  # type: ignore[arg-type]
            }
        )


class Named(Protocol):
    """A thing with a name."""

    @property
    def name(self) -> str:
        """Key in a registry."""


T = TypeVar("T", bound=Named)


class Registry(dict[str, T]):
    """Things of one kind by name, in the order of their registration.

    Looking up an unknown name raises ValueError, and so does registering a name twice.

    Parameters
    ----------
    kind : str
        What the things are, for messages.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def add(self, item: T) -> T:
        """Register `item` under its name, and return it."""
        if item.name in self:
            raise ValueError(f"there is a {self.kind} named {item.name!r} already")
        self[item.name] = item
        return item

    def place(self, name: str) -> int:
        """Return the number of a thing in the order of registration."""
        return list(self).index(self[name].name)

    def __missing__(self, name: str) -> T:
        raise ValueError(f"{self.kind} must be one of {', '.join(map(repr, self))}; got {name!r}")
