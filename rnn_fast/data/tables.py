"""Columns of series over time: of arrays, of DataFrames, of xarray.

Tables are known by what they have: neither pandas nor xarray is imported.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..validation import shown
from .arrays import real

#: a step of the index longer than so many median steps is a gap; months differ by less
GAP = 1.5


class Table(NamedTuple):
    """A series over T rows, and its columns by name."""

    name: str  #: for messages
    names: list[Any] | None  #: of the columns; None: there is no axis of columns
    whole: Callable[[], Any]  #: returns the series, (T,) or (T, C)
    column: Callable[[Any], Any]  #: returns a column by its name, (T,)
    index: Any  #: of the rows, as pandas has it; None: rows are counted


def table_of(name: str, series: Any) -> Table:
    """Return a series as a table.

    Parameters
    ----------
    name : str
        Name of the argument, for messages.
    series : array-like, DataFrame, Series, DataArray or Dataset
        Rows over time, (T,) or (T, C); of xarray along ``time``, or else the first dimension.

    Raises
    ------
    TypeError, ValueError
        It holds no real numbers, has other axes, or an index of several levels.
    """
    if hasattr(series, "iloc"):  # of pandas
        if getattr(series.index, "nlevels", 1) > 1:
            raise TypeError(f"{name} has an index of several levels; give a list of series")
        if not hasattr(series, "columns"):
            return Table(name, None, lambda: series, lambda _: series, series.index)
        frame = list(series.columns)
        return Table(name, frame, lambda: None, lambda key: series[key], series.index)
    if hasattr(series, "dims") and hasattr(series, "indexes"):  # of xarray
        return _of_xarray(name, series)
    return _of_array(name, real(name, series), None, None)


def _of_xarray(name: str, series: Any) -> Table:
    dims = list(series.dims)
    time = "time" if "time" in dims or not dims else dims[0]
    index = series.indexes.get(time)
    if hasattr(series, "data_vars"):
        names = [key for key, value in series.data_vars.items() if value.dims == (time,)]
        return Table(name, names, lambda: None, lambda key: series[key], index)
    others = [dim for dim in dims if dim != time]
    labels = series.indexes.get(others[0]) if len(others) == 1 else None
    array = real(name, series.transpose(time, *others))
    return _of_array(name, array, None if labels is None else list(labels), index)


def _of_array(name: str, array: np.ndarray, names: list[Any] | None, index: Any) -> Table:
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise ValueError(
            f"{name} must have shape (T,) or (T, C), rows over time by columns, none of them 0; "
            f"got {array.shape}; several series go in a list"
        )
    if array.ndim == 1:
        return Table(name, None, lambda: array, lambda _: array, index)
    names = list(range(array.shape[1])) if names is None else names
    return Table(name, names, lambda: array, lambda key: array[:, names.index(key)], index)


def columns(table: Table, argument: str, keys: Any) -> np.ndarray:
    """Return the columns that `keys` name: (T, n) of a list, (T,) of a name, and None for all.

    Raises
    ------
    TypeError, ValueError
        There is no such column, or it does not hold real numbers.
    """
    names = table.names
    if names is None:
        if keys is not None:
            raise ValueError(f"{argument}: {table.name} has no columns; got {shown(keys)}")
        return _numbers(table.name, table.whole())
    if keys is None:
        whole = table.whole()
        if whole is not None:
            return whole
        keys = names
    chosen = keys if isinstance(keys, list) else [keys]
    for key in chosen:
        if isinstance(key, (bool, np.bool_)) or key not in names:
            raise ValueError(
                f"{argument}: {table.name} has no column {shown(key)}; it has {shown(names)}"
            )
    if not chosen:
        raise ValueError(f"{argument} must name at least one column; got {shown(keys)}")
    parts = [_numbers(f"{table.name}[{key!r}]", table.column(key)) for key in chosen]
    return np.stack(parts, axis=1) if isinstance(keys, list) else parts[0]


def _numbers(name: str, column: Any) -> np.ndarray:
    """Return a column (T,) as numbers; a missing number of pandas becomes NaN."""
    missing = getattr(getattr(column, "dtype", None), "na_value", None)
    if missing is not None and hasattr(column, "to_numpy") and column.dtype.kind in "biuf":
        column = column.to_numpy(np.float64, na_value=np.nan)
    array = real(name, column)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one column, (T,); got shape {array.shape}")
    return array


def breaks(table: Table) -> np.ndarray | None:
    """Return the rows that come after a gap in the index, in ascending order; None: no index.

    Raises
    ------
    ValueError
        The index does not ascend.
    """
    index = table.index
    if index is None:
        return None
    if not (index.is_monotonic_increasing and index.is_unique):
        raise ValueError(f"{table.name} must have an index that ascends; sort it, without doubles")
    kind = getattr(index.dtype, "kind", "O")
    if kind not in "iufmM" or len(index) < 3:
        return None
    steps = np.diff(np.asarray(index.astype("int64") if kind in "mM" else index))
    return np.flatnonzero(steps > GAP * np.median(steps)) + 1


def rows_at(table: Table, n: int, cuts: Any) -> list[int]:
    """Return the first row at or after each place of `cuts`, of n rows.

    Raises
    ------
    TypeError, ValueError
        `cuts` are neither fractions nor labels of the index, or do not ascend.
    """
    if not isinstance(cuts, (list, tuple)) or not cuts:
        raise TypeError(f"split must be a tuple of fractions or dates; got {shown(cuts)}")
    if all(isinstance(cut, float) for cut in cuts):
        if not all(0 < cut < 1 for cut in cuts):
            raise ValueError(f"split must be fractions between 0 and 1; got {shown(cuts)}")
        places = [round(cut * n) for cut in cuts]
    else:
        places = [_place(table, cut) for cut in cuts]
    if sorted(set(cuts)) != list(cuts) or sorted(places) != places:
        raise ValueError(
            "split must ascend: it tells where the later parts begin, as (0.7, 0.85) or "
            f'("2014-01-01", "2016-01-01"); got {shown(cuts)}'
        )
    return places


def _place(table: Table, cut: Any) -> int:
    if table.index is None:
        raise TypeError(
            f"split: {table.name} has no index of dates; give fractions, not {shown(cut)}"
        )
    if isinstance(cut, datetime.date) and not isinstance(cut, datetime.datetime):
        cut = cut.isoformat()
    try:
        return int(table.index.get_slice_bound(cut, "left"))
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"split: {shown(cut)} is no place in the index: {error}") from None
