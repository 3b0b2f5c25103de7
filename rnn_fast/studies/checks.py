"""Checks of the names, the index arrays and the parts of a row."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from typing import Any

import numpy as np

from ..models.loading import MODELS
from ..training.config import TrainingConfig
from ..validation import hint, shown
from .runs import INDICES, Runs

#: arguments of `fit` that a study has no use for, and why
REFUSED = {
    "X": "the data are arguments of fit_many; a row chooses by index arrays, or by `data`",
    "validation_data": "a row chooses its validation data by an index array `validation`",
    "callbacks": "a study calls nothing between epochs",
    "checkpoint": "the store keeps what is finished",
    "keep_optimizer": "each run starts with a new optimizer",
    "initial_state": "a study's sequences start from zero, or from learned states",
    "shuffle_block": "a study's data are in memory",
    "n_threads": "n_jobs says how many threads there are",
    "verbose": "it is an argument of fit_many, for all runs",
}
REFUSED |= dict.fromkeys(("y", "lengths", "mask", "sample_weight", "missing"), REFUSED["X"])
REFUSED |= dict.fromkeys(("checkpoint_every", "resume"), REFUSED["checkpoint"])
REFUSED["check_finite"] = REFUSED["verbose"]
#: names of columns that a study adds, and beginnings of such names
COLUMNS = ("status", "error", "best_epoch", "epochs_trained", "seconds")
SCORES = ("train_", "val_", "test_")
ARGUMENTS = {name for kind in MODELS.values() for name in signature(kind).parameters}
FIT = {each.name for each in fields(TrainingConfig)} - REFUSED.keys() - ARGUMENTS
ROWS_OWN = {*INDICES, "data", "cell"}


@functools.lru_cache(64)  # a search for near names takes 0.1 ms
def check_names(*names: str) -> None:
    """Raise TypeError for a name that is not for studies, or a label that seems a slip."""
    known = ARGUMENTS | FIT | ROWS_OWN | {"class_weight"}
    for name in set(names) - known:
        if name in REFUSED:
            raise TypeError(f"{name} is not for a row of a study: {REFUSED[name]}")
        if name in COLUMNS or name.startswith(SCORES):
            raise ValueError(f"{name!r} is a column of the results; call the label otherwise")
        if advice := hint(name, known, 0.85):
            raise ValueError(f"{name!r} is no argument{advice} Call a label otherwise")


def check_parts(
    validation_split: float,
    train: np.ndarray | None,
    validation: np.ndarray | None,
    test: np.ndarray | None,
    class_weight: Any,
) -> None:
    """Raise ValueError for parts of the data that do not go together."""
    if train is None and not (validation is None and test is None):
        raise ValueError("a row with an index array `validation` or `test` needs one of `train`")
    if validation_split and validation is not None:
        raise ValueError("validation_split cannot go with an index array `validation`")
    if class_weight == "balanced" and train is not None:
        raise ValueError(
            "class_weight='balanced' would weigh by all sequences, not by those of `train`; give a "
            "dict of class to weight"
        )


def index_array(name: str, value: Any, n: int) -> np.ndarray:
    """Return indices of sequences, or a mask of them, as ascending int64.

    Raises
    ------
    TypeError, ValueError
        The value is no vector of indices in 0 .. n - 1, or no bool (n,), or chooses nothing.
    """
    array = np.asarray(value)
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise TypeError(f"{name} must be a vector of integers, or of bool; got {shown(value)}")
    if array.dtype.kind == "b":
        if len(array) != n:
            raise ValueError(f"{name} must have {n} bool, one for each sequence; got {len(array)}")
        array = np.flatnonzero(array)
    if not len(array):
        raise ValueError(f"{name} must choose at least one sequence; got none")
    if array.min() < 0 or array.max() >= n:
        wrong = array[(array < 0) | (array >= n)][0]
        raise ValueError(f"{name} holds {wrong}, which is none of the sequences 0 .. {n - 1}")
    return np.sort(array.astype(np.int64))


def namer(table: Runs) -> Callable[[int], str]:
    """Return a function that names a row by its place and by what differs from row to row."""

    def name(place: int) -> str:
        row = table[place]
        shows = [k for k, v in row.items() if k not in INDICES and differs(k, v)]
        inner = ", ".join(f"{k}={shown(row[k])}" for k in shows)
        return f"runs[{place}] ({inner})" if inner else f"runs[{place}]"

    seen: dict[str, bool] = {}

    def differs(key: str, value: Any) -> bool:
        if key not in seen:
            seen[key] = any(repr(row.get(key)) != repr(value) for row in table)
        return seen[key]

    return name
