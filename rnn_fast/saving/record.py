"""The record of a training in a checkpoint: its fields, and what each may hold.

A record is compared with this declaration before anything of it is used.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelFileError
from .journal import LIMIT

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Facts:
    """Facts about a training, from its arguments, that its record must fit."""

    columns: tuple[str, ...]  #: measures in its history
    knobs: tuple[float, ...]  #: before the first update
    n_scalars: int  #: the last knobs, which updates change as they change the first
    moments: tuple[int, ...]  #: shape
    parameters: tuple[int, ...]  #: shape
    dtype: np.dtype
    counts: tuple[bool, ...]  #: of each sum of an epoch, whether it counts something
    outputs: int  #: numbers in a target
    blocks: int | None  #: of the data; None for a stream
    plateau: int | None  #: patience of the schedule; None if it has none
    patience: int | None  #: of early stopping; None without
    keeps_best: bool  #: whether early stopping keeps the best parameters


# --------------------------------------------------------------------------------------- checks


def real(low: float = -math.inf, high: float = math.inf) -> Check:
    """Make a check for a float in [low, high], so not for NaN."""
    return lambda value: type(value) is float and low <= value <= high


def whole(low: int = 0, high: float = math.inf) -> Check:
    """Make a check for an integer in [low, high]."""
    return lambda value: type(value) is int and low <= value <= high


def exactly(expected: Any) -> Check:
    """Make a check for one value, of the same type."""
    return lambda value: type(value) is type(expected) and value == expected


def text(pattern: str) -> Check:
    """Make a check for text that matches a pattern."""
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def list_of(*checks: Check) -> Check:
    """Make a check for a list of values, each with a check of its own."""

    def check(values: Any) -> bool:
        size = isinstance(values, list) and len(values) == len(checks)
        return size and all(each(value) for each, value in zip(checks, values, strict=True))

    return check


def tally(value: Any) -> bool:
    """Return whether a value is a whole number that a float can count up to."""
    return type(value) is float and 0 <= value <= 2**53 and value.is_integer()


def flag(value: Any) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


LARGEST = float(np.finfo(float).max)
finite, count = real(-LARGEST, LARGEST), whole(high=2**63 - 1)
positive = real(math.ulp(0.0), LARGEST)
not_negative = real(0, LARGEST)


def state_of(generator: np.random.Generator) -> Check:
    """Make a check for a state that the generator can be put in.

    NumPy takes any place in a buffer, also one behind its end, from where it then reads.
    """

    def check(value: Any) -> bool:
        bits = copy.deepcopy(generator.bit_generator)
        if not _alike(value, plain(bits.state)):
            return False
        for name, buffer in (("pos", "key"), ("buffer_pos", "buffer")):
            inner = {**value, **value["state"]} if isinstance(value["state"], dict) else value
            if name in inner and not inner[name] <= len(inner.get(buffer, ())):
                return False
        try:
            bits.state = value
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        return bool(plain(bits.state) == value)

    return check


def _alike(value: Any, like: Any) -> bool:
    """Return whether a value has the form of another: its names, its lengths, integers, text."""
    if isinstance(like, dict):
        names = isinstance(value, dict) and value.keys() == like.keys()
        return names and all(_alike(value[name], like[name]) for name in like)
    if isinstance(like, list):
        size = isinstance(value, list) and len(value) == len(like)
        return size and all(map(_alike, value, like))
    if isinstance(like, str):
        return exactly(like)(value)
    return whole()(value) if type(like) is int else type(value) is type(like)


def plain(value: Any) -> Any:
    """Return the state of a generator in terms of JSON."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


# --------------------------------------------------------------------------------------- fields


def fields(facts: Facts, generator: np.random.Generator, is_within: bool) -> dict[str, Any]:
    """Return the check of each field; of a field that is an object, the checks of its fields.

    Parameters
    ----------
    facts : Facts
    generator : Generator
        Of the model.
    is_within : bool
        Whether the checkpoint was written within an epoch.
    """
    state = state_of(generator)
    position = {
        "began": state,
        "sequences": count,
        "seconds": not_negative,
        "rate": not_negative,
        "result": list_of(*(tally if counts else real() for counts in facts.counts)),
    }
    plateau = {"factor": real(0, 1), "best": real(), "waited": whole(high=facts.plateau or 0)}
    watch = {"best": real(), "waited": whole(high=facts.patience or 0)}
    return {
        "began": state,
        "rate": not_negative,
        "finished": exactly(False) if is_within else flag,
        "history": {
            "epochs": count,
            "filed": count,
            "columns": exactly(list(facts.columns)),
            "run": text("[0-9a-f]{16}"),
            "digest": text("[0-9a-f]{64}"),
        },
        "knobs": _knobs(facts),
        "plateau": plateau if facts.plateau is not None else exactly(_nothing(factor=1.0)),
        "watch": watch if facts.patience is not None else exactly(_nothing()),
        "generator": state,
        "source": _items(facts) if facts.blocks is None else _spreads(facts, facts.blocks),
        "pending": exactly(False) if is_within else flag,
        "position": position if is_within else exactly(None),
    }


def _nothing(**more: float) -> dict[str, Any]:
    """Return the state of a rule that is not there."""
    return {**more, "best": math.inf, "waited": 0}


def _knobs(facts: Facts) -> Check:
    """Make a check for the knobs: updates so far, settings, scalars of the state."""
    settings = facts.knobs[1 : len(facts.knobs) - facts.n_scalars]

    def check(knobs: Any) -> bool:
        return (
            list_of(*[real()] * len(facts.knobs))(knobs)
            and 0 <= knobs[0] < 2**53
            and knobs[0] == int(knobs[0])
            and tuple(knobs[1 : 1 + len(settings)]) == settings
        )

    return check


def _spread(facts: Facts) -> Check:
    """Make a check for the arguments of a `losses.measures.Spread`."""
    none, means = [0.0, 0.0, 0.0], list_of(*[finite] * facts.outputs)
    squares = list_of(*[not_negative] * facts.outputs)

    def check(value: Any) -> bool:
        if value == none or not (isinstance(value, list) and len(value) == 3):
            return value == none
        weight = positive(value[0]) or (squares(value[0]) and sum(value[0]) > 0)
        return weight and means(value[1]) and squares(value[2])

    return check


def _items(facts: Facts) -> Check:
    """Make a check for the number of items of a stream, and the spread of their targets."""
    spread = _spread(facts)

    def check(value: Any) -> bool:
        return isinstance(value, list) and bool(value) and count(value[0]) and spread(value[1:])

    return check


def _spreads(facts: Facts, blocks: int) -> Check:
    """Make a check for the number and the spread of some blocks."""
    block, spread = whole(high=blocks - 1), _spread(facts)

    def check(value: Any) -> bool:
        if not (isinstance(value, list) and all(isinstance(each, list) for each in value)):
            return False
        right = all(each and block(each[0]) and spread(each[1:]) for each in value)
        return right and len({each[0] for each in value}) == len(value)

    return check


# ---------------------------------------------------------------------------------- the record


def check(record: Any, facts: Facts, generator: np.random.Generator) -> None:
    """Check each field of a record, and that they fit each other.

    Raises
    ------
    ModelFileError
        A field is missing, unknown, or holds what no training writes; the message names it.
    """
    is_within = isinstance(record, dict) and record.get("position") is not None
    _walk("training", record, fields(facts, generator, is_within))
    history = record["history"]
    if not 0 <= history["epochs"] - history["filed"] <= LIMIT:
        raise _wrong("training.history.filed")


def shapes(record: Mapping[str, Any], facts: Facts) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Return the dtype and the shape of each array beside a record that was checked."""
    history, columns = record["history"], len(facts.columns)
    shapes = {
        "moments": (facts.dtype, facts.moments),
        "history": (np.dtype(float), (history["epochs"] - history["filed"], columns)),
    }
    if record["position"] is not None:
        shapes["before"] = (facts.dtype, facts.parameters)
    if facts.keeps_best and record["watch"]["best"] < math.inf:
        shapes["best"] = (facts.dtype, facts.parameters)
    return shapes


def check_arrays(arrays: Mapping[str, np.ndarray], facts: Facts) -> None:
    """Check the numbers in the arrays of a training, whose history is complete.

    A moment may have overflowed: a square of a large gradient does, and the training goes on.

    Raises
    ------
    ModelFileError
        There are numbers that no training writes; the message names the array.
    """
    if np.isnan(arrays["moments"]).any():
        raise _wrong("training.moments")
    for name in ("best", "before"):
        if name in arrays and not np.isfinite(arrays[name]).all():
            raise _wrong(f"training.{name}")
    named = dict(zip(facts.columns, arrays["history"].T, strict=True))
    for name in ("loss", "learning_rate", "seconds", "sequences_per_second"):
        least = {"loss": -math.inf, "sequences_per_second": math.ulp(0.0)}.get(name, 0.0)
        if not (np.isfinite(named[name]) & (named[name] >= least)).all():
            raise _wrong(f"history.{name}")


def _walk(name: str, value: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        if not isinstance(value, dict) or value.keys() != expected.keys():
            raise _wrong(name)
        for key, inner in expected.items():
            _walk(f"{name}.{key}", value[key], inner)
    elif not expected(value):
        raise _wrong(name)


def _wrong(name: str) -> ModelFileError:
    return ModelFileError(f"damaged, or of another version: {name} is not as a training writes it")
