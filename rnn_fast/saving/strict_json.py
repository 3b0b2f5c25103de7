"""JSON that says each thing once, in numbers of a bounded length."""

from __future__ import annotations

import json
from typing import Any

DIGITS = 60  #: of an integer; the state of a random generator has up to 39


def read(text: str | bytes, constants: bool = False) -> Any:
    """Return the value of a text.

    Parameters
    ----------
    text : str or bytes
        Bytes are UTF-8.
    constants : bool
        Whether NaN and infinities are numbers.

    Raises
    ------
    ValueError
        The text is not JSON, is nested too deep, has a name twice in an object, or an integer of
        more than `DIGITS` digits.
    """
    text = text.decode() if isinstance(text, bytes) else text
    options: dict[str, Any] = {} if constants else {"parse_constant": _refuse}
    try:
        return json.loads(text, object_pairs_hook=_once, parse_int=_short, **options)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise ValueError("a name comes twice")
    return named


def _short(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")
