"""Tables of runs: grids of arguments, folds of sequences, and their products."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..validation import shown, whole

#: index arrays of a row: sequences to train on, to validate on and to test on
INDICES = ("train", "validation", "test")


class Runs:
    """Rows of a study, each a dict of arguments, labels and index arrays.

    ``a * b`` pairs each row of a with each row of b; ``a + b`` has the rows of both.

    Parameters
    ----------
    rows : iterable of dict, or DataFrame
        The rows.  A missing value of a DataFrame leaves the column out of its row.

    Raises
    ------
    TypeError
        A row is no dict with names as keys.
    """

    def __init__(self, rows: Any = ()) -> None:
        self._rows = list(_dicts(rows))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self._rows[place]

    def __mul__(self, other: Any) -> Runs:
        other = other if isinstance(other, Runs) else Runs(other)
        for name in itertools.chain(*itertools.islice(self, 1)):
            if any(name in row for row in other):
                raise ValueError(f"both factors have {name!r}")
        return Runs([{**one, **two} for one in self for two in other])

    def __add__(self, other: Any) -> Runs:
        return Runs([*self, *Runs(other)])

    def __repr__(self) -> str:
        names = dict.fromkeys(itertools.chain(*self))
        return f"<{len(self)} runs of {', '.join(names) or 'nothing'}>"


def _dicts(rows: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dicts."""
    if hasattr(rows, "iloc") and hasattr(rows, "to_dict"):  # a DataFrame
        for row in rows.to_dict("records"):
            yield {name: value for name, value in row.items() if not _is_missing(value)}
        return
    if isinstance(rows, (Mapping, str, bytes)) or not isinstance(rows, Iterable):
        raise TypeError(f"runs must be an iterable of dicts or a DataFrame; got {shown(rows)}")
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
            raise TypeError(f"runs[{place}] must be a dict of names to values; got {shown(row)}")
        yield dict(row)


def _is_missing(value: Any) -> bool:
    """Return whether a value of a DataFrame is missing: None, NaN, NaT, NA."""
    return value is None or (np.ndim(value) == 0 and (value != value) is not False)


def grid(**values: Iterable[Any]) -> Runs:
    """Return all combinations of values, the last name changing fastest.

    Parameters
    ----------
    **values : iterables
        Values of each argument or label.

    Returns
    -------
    Runs

    Raises
    ------
    TypeError
        A value is no iterable of values; a text is none.
    ValueError
        There are no values.

    Examples
    --------
    >>> len(grid(hidden_size=[1, 2, 5], seed=range(3)))
    9
    """
    columns = []
    for name, column in values.items():
        if isinstance(column, (str, bytes, Mapping)) or not isinstance(column, Iterable):
            keys = f". For its keys, write {name}=list(...)" if isinstance(column, Mapping) else ""
            raise TypeError(f"{name} must be a list of values; got {shown(column)}{keys}")
        columns.append(list(column))
        if not columns[-1]:
            raise ValueError(f"{name} must have at least one value; got none")
    return Runs([dict(zip(values, row, strict=True)) for row in itertools.product(*columns)])


def folds(
    n: int, *, outer: int | None = None, inner: int | None = None, by: Any = None, seed: int = 0
) -> Runs:
    """Return rows of (nested) cross-validation: index arrays that partition n sequences.

    Each of the `outer` folds is `test` once.  Of the rest, each of the `inner` folds is
    `validation` once, and what remains is `train`.  Without `outer` there is no `test`, without
    `inner` no `validation`.

    Parameters
    ----------
    n : int
        Number of sequences.
    outer, inner : int, optional
        Number of folds, at least 2; one of the two is needed.  The labels ``outer`` and ``inner``
        count them from 0.
    by : array-like (n,), optional
        Group of each sequence, such as an animal: each group has folds of its own, and its rows
        have it as the label ``by``.  The folds of a group do not depend on the other groups.
    seed : int
        Draws the folds.

    Returns
    -------
    Runs

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, or there are more folds than sequences.
    """
    n = whole("n", n)
    seed = whole("seed", seed, 0)
    for name, value in (("outer", outer), ("inner", inner)):
        if value is not None:
            whole(name, value, 2)
    if outer is None and inner is None:
        raise ValueError("folds needs outer, inner or both")
    if by is None:
        return Runs(_folds({}, np.arange(n), outer, inner, [seed]))
    groups = np.asarray(by)
    if groups.shape != (n,):
        raise ValueError(
            f"by must have shape ({n},), a group for each sequence; got {groups.shape}"
        )
    rows: list[dict[str, Any]] = []
    for group in dict.fromkeys(groups.tolist()):
        key = hashlib.sha256(json.dumps(group).encode()).digest()[:4]
        own = np.flatnonzero(groups == group)
        rows += _folds({"by": group}, own, outer, inner, [seed, int.from_bytes(key, "little")])
    return Runs(rows)


def _folds(
    label: dict[str, Any], own: np.ndarray, outer: int | None, inner: int | None, seed: list[int]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the folds of some sequences."""
    tests = _partition("outer", own, outer, seed) if outer else [None]
    for k, test in enumerate(tests):
        row, rest = dict(label), own
        if test is not None:
            row |= {"outer": k, "test": test}
            rest = np.setdiff1d(own, test)
        if inner is None:
            yield row | {"train": rest}
            continue
        for j, validation in enumerate(_partition("inner", rest, inner, [*seed, k])):
            train = np.setdiff1d(rest, validation)
            yield row | {"inner": j, "train": train, "validation": validation}


def _partition(name: str, own: np.ndarray, n_folds: int, seed: list[int]) -> list[np.ndarray]:
    """Return `n_folds` random parts of some sequences, of equal sizes up to one."""
    if len(own) < n_folds or len(own) < 2:
        raise ValueError(f"{name}={n_folds} folds need as many sequences; there are {len(own)}")
    mixed = np.random.default_rng(seed).permutation(own)
    return [np.sort(part) for part in np.array_split(mixed, n_folds)]
