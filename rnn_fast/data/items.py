"""Sequences and everything that belongs to them in one value: an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..layout.network import Network
from .dataset import WEIGHTS, Dataset

#: names of the arguments in an item
NAMES = ("X", "y", "lengths", "initial_state", *WEIGHTS)


def arguments(name: str, item: Any) -> dict[str, Any]:
    """Return the arguments in an item by their names.

    Raises
    ------
    TypeError, ValueError
        `item` is neither a pair, a triple nor a dict, or lacks X or y, or has an unknown name.
    """
    if type(item) is tuple and len(item) == 2:
        return {"X": item[0], "y": item[1]}
    if isinstance(item, Mapping):
        named = dict(item)
    elif isinstance(item, (tuple, list)) and len(item) in (2, 3):
        named = dict(zip(("X", "y", "lengths"), item, strict=False))
    else:
        raise TypeError(
            f"{name} must be (X, y), (X, y, lengths) or a dict of arguments; got "
            f"{type(item).__name__}"
        )
    for required in ("X", "y"):
        if required not in named:
            raise ValueError(f"{name} has no {required!r}")
    unknown = [key for key in named if key not in NAMES]
    if unknown:
        raise ValueError(f"{name} has {unknown[0]!r}, but its names must be of {', '.join(NAMES)}")
    return named


def dataset_of(
    net: Network, named: Mapping[str, Any], prefix: str, check_finite: bool, **options: Any
) -> Dataset:
    """Return the data of an item's arguments.

    Parameters
    ----------
    net : Network
    named : mapping
        As `arguments` returns it.
    prefix, check_finite, **options
        As for `Dataset`.

    Raises
    ------
    TypeError, ValueError
        As `Dataset` raises.
    """
    data = {name: value for name, value in named.items() if name != "initial_state"}
    state = named.get("initial_state")
    return Dataset(net, **data, state=state, prefix=prefix, check_finite=check_finite, **options)
