"""Values of a row in terms of JSON, from which its identity and its seed follow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..validation import shown

KIND = "kind"  #: key of the class's name in the form of an object, such as an optimizer


def plain(name: str, value: Any) -> Any:
    """Return a value in terms of JSON: numbers, text, lists, dicts and records of them.

    Raises
    ------
    TypeError
        The value is something else, such as a function, which has no content to tell it by.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
        return {KIND: type(value).__name__, **{k: plain(f"{name}.{k}", v) for k, v in fields}}
    if isinstance(value, Mapping):
        return {str(key): plain(f"{name}[{key!r}]", inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(f"{name}[{i}]", inner) for i, inner in enumerate(value)]
    raise TypeError(
        f"{name} must be a number, text, a list, a dict or an object of rnn_fast; got "
        f"{shown(value)}"
    )


def text_of(value: Any) -> str:
    """Return the JSON of a plain value: equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest_of(data: bytes) -> str:
    """Return 16 hexadecimal digits that tell data apart."""
    return hashlib.sha256(data).hexdigest()[:16]


def readable(value: Any) -> Any:
    """Return a plain value as a table shows it: lists, dicts and records become text."""
    if isinstance(value, dict) and KIND in value:
        inner = ", ".join(f"{k}={readable(v)!r}" for k, v in value.items() if k != KIND)
        return f"{value[KIND]}({inner})"
    return text_of(value) if isinstance(value, (dict, list)) else value
