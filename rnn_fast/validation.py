"""Checks of settings: sizes, rates, choices, the seed.

Each function takes the argument's name, for the message, and returns a plain Python value.  A bool
is not accepted as a number; NumPy's numbers are.

Each raises TypeError for a value of the wrong type and ValueError for a wrong value of that type.
The message names the argument, what is expected and what came, cut to a line.
"""

from __future__ import annotations

import functools
import math
import operator
import os
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, field, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:  # `numpy.random` is imported where it is used
    #: what `numpy.random.default_rng` takes
    Seed: TypeAlias = (
        int
        | np.integer[Any]
        | Sequence[int]
        | np.ndarray
        | np.random.SeedSequence
        | np.random.BitGenerator
        | np.random.Generator
        | None
    )

#: what `real_dtype` takes: a name of `DTYPES`, or the dtype itself
Dtype: TypeAlias = Literal["float32", "float64"] | type[np.floating[Any]] | np.dtype[Any]
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
#: smallest number, which is subnormal, and largest of each
RANGES = {
    DTYPES[0]: (2.0**-149, float(np.finfo(np.float32).max)),
    DTYPES[1]: (5e-324, float(np.finfo(np.float64).max)),
}
#: largest integer of an option: the kernels count in int64
MOST = 2**63 - 1
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80  # characters


def shown(value: Any) -> str:
    """Return the repr of a value on one line, cut where it is long, for a message."""
    try:
        text = _SHORT.repr(value)
    except Exception:  # such as an int of more digits than Python prints
        return f"a value of type {type(value).__name__}"
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= 120 else f"{text[:117]}..."


def hint(value: Any, options: Collection[str], least: float = 0.8) -> str:
    """Return "; did you mean 'x'?" for a near name or the initials of one, or nothing."""
    from difflib import get_close_matches  # 2 ms that only a mistake need pay

    if not isinstance(value, str) or len(value) < 2:
        return ""
    word = value[:80].lower()
    near = [name for name in options if word == "".join(part[:1] for part in name.split("_"))]
    near += get_close_matches(word, options, 1, least)
    return f"; did you mean {near[0]!r}?" if near else ""


def qualified(function: Any) -> str:
    """Return the qualified name of a function, or of the class of a callable object."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def whole(name: str, value: Any, least: int = 1, most: int = MOST) -> int:
    """Return `value` as an int with ``least <= value <= most``."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {shown(value)}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}; got {shown(number)}")
    if number > most:
        raise ValueError(f"{name} must be at most {most}; got {shown(number)}")
    return number


def real(name: str, value: Any) -> float:
    """Return `value` as a float: infinite for an int or a fraction beyond float64."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number; got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def rate(name: str, value: Any, below: float = math.inf) -> float:
    """Return `value` as a float with ``0 <= value < below``."""
    number = real(name, value)
    if not 0 <= number < below:
        allowed = f"in [0, {below:g})" if below < math.inf else "finite and not negative"
        raise ValueError(f"{name} must be {allowed}; got {shown(value)}")
    return number


def above_zero(name: str, value: Any) -> float:
    """Return `value` as a finite float above 0."""
    if rate(name, value) == 0:
        raise ValueError(f"{name} must be above 0; got {shown(value)}")
    return float(value)


def finite(name: str, value: Any) -> float:
    """Return `value` as a finite float."""
    number = real(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {shown(value)}")
    return number


def fits(name: str, value: float, dtype: np.dtype) -> float:
    """Return `value`, if it is 0 or within the range of `dtype`, which has subnormal numbers."""
    low, high = RANGES[dtype]
    if value != 0 and not low <= abs(value) <= high:
        size = "small" if abs(value) < low else "large"
        raise ValueError(f"{name} = {shown(value)} is too {size} for {dtype}")
    return value


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {shown(value)}")
    return bool(value)


Choice = TypeVar("Choice", bound=str)


def choice(name: str, value: Any, options: Collection[Choice]) -> Choice:
    """Return `value`, one of `options`."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string; got {shown(value)}")
    for option in options:
        if option == value:
            return option
    raise ValueError(
        f"{name} must be one of {', '.join(map(repr, options))}; got {shown(value)}"
        f"{hint(value, options)}"
    )


def path(name: str, value: Any) -> str:
    """Return `value` as the path of a file.

    Raises
    ------
    TypeError
        `value` is neither text, nor bytes, nor a path.
    ValueError
        No file can have that name.
    """
    try:
        text = os.fsdecode(value)
        os.fsencode(text)
    except TypeError:
        raise TypeError(f"{name} must be a path; got {shown(value)}") from None
    except UnicodeError:
        raise ValueError(f"{name} must be a path that can be encoded; got {shown(value)}") from None
    if not text or "\0" in text:
        raise ValueError(f"{name} must be a path without a NUL character; got {shown(value)}")
    return text


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
    except Exception:  # also of a repr, which NumPy's message has
        raise TypeError(f"dtype must be float32 or float64; got {shown(value)}") from None
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be float32 or float64; got {dtype}")
    return DTYPES[DTYPES.index(dtype)]


def generator(seed: Seed) -> np.random.Generator:
    """Return the generator that `numpy.random.default_rng` makes of a seed.

    A Generator is returned itself, not a copy.

    Raises
    ------
    TypeError, ValueError
        `seed` is none that NumPy accepts.
    """
    expected = "seed must be what numpy.random.default_rng takes, such as an integer of at least 0"
    if isinstance(seed, (bool, np.bool_)):
        raise TypeError(f"{expected}; got {seed}")
    try:
        return np.random.default_rng(seed)
    except Exception as error:  # also of a repr, which NumPy's message has
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{expected}; got {shown(seed)}") from None


def optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Make a check that lets None pass."""
    return lambda name, value: None if value is None else check(name, value)


def or_zero(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Make a check that turns None into 0."""
    return lambda name, value: 0 if value is None else check(name, value)


def as_it_is(name: str, value: Any) -> Any:
    """Let a value pass that is checked where it is used."""
    return value


def option(check: Callable[[str, Any], Any], default: Any = MISSING) -> Any:
    """Declare an option of an `Options` record: its check and its default."""
    return field(default=default, metadata={"check": check})


def check_fields(record: Any, **checks: Callable[[str, Any], Any]) -> None:
    """Check fields of a frozen dataclass by their names, and keep the plain values."""
    for name, check in checks.items():
        object.__setattr__(record, name, check(name, getattr(record, name)))


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
        values = {}
        for name, check, default, checked in _options(cls):  # type: ignore[arg-type]
            value = arguments.get(name, default)
            if value is default is not MISSING:
                values[name] = checked
            else:
                values[name] = check(shown.get(name, name), value)
        return cls(**values)


@functools.cache
def _options(kind: type[Options]) -> list[tuple[str, Callable[[str, Any], Any], Any, Any]]:
    """Return the name, the check, the default and its checked value of each option of a record."""
    return [
        (
            each.name,
            each.metadata["check"],
            each.default,
            MISSING if each.default is MISSING else each.metadata["check"](each.name, each.default),
        )
        for each in fields(kind)  # type: ignore[arg-type]
    ]


class Checked:
    """The last record of some options: the same objects again need no second check.

    Parameters
    ----------
    kind : type of Options
    check : callable
        Checks a record, and raises.
    """

    def __init__(self, kind: type[Options], check: Callable[[Any], None]) -> None:
        self._kind, self._check = kind, check
        self._names = [name for name, *_ in _options(kind)]  # type: ignore[arg-type]
        self._given: tuple[Any, ...] = ()
        self._record: Any = None

    def record(self, arguments: Mapping[str, Any]) -> Any:
        """Return the record of `arguments`, which hold all options and perhaps others.

        Raises
        ------
        TypeError, ValueError
            As the check of an option, or of the record.
        """
        given = tuple([arguments[name] for name in self._names])
        if not self._given or not all(map(operator.is_, given, self._given)):
            record = self._kind.checked(arguments)
            self._check(record)
            self._given, self._record = (), record
            if all(map(_is_fixed, given)):
                self._given = given
        return self._record


def _is_fixed(value: Any) -> bool:
    """Return whether the content of a value cannot change."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return True
    if type(value) is tuple:
        return not value
    kind = getattr(type(value), "__dataclass_params__", None)
    return kind is not None and bool(kind.frozen)


class Named(Protocol):
    """A thing with a name."""

    @property
    def name(self) -> str:
        """Key in a registry."""


T = TypeVar("T", bound=Named)
Item = TypeVar("Item", bound=Named)  #: a thing of a registry, whose own type a decorator keeps


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

    def add(self, item: Item) -> Item:
        """Register `item` under its name, and return it."""
        if item.name in self:
            raise ValueError(f"there is a {self.kind} named {item.name!r} already")
        self[item.name] = item  # type: ignore[assignment]
        return item

    def __missing__(self, name: str) -> T:
        names = ", ".join(map(repr, self))
        raise ValueError(f"{self.kind} must be one of {names}; got {shown(name)}")
