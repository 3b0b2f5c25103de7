"""Data frames of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._optional import extra
from ..validation import hint, shown
from .plain import plain, readable
from .work import DONE

if TYPE_CHECKING:
    import pandas as pd

#: endings of measures that are better when higher
HIGHER = ("accuracy", "r2")


def frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return records as a data frame, whose index is the id.

    Raises
    ------
    ImportError
        pandas is not installed.
    """
    table = extra("pandas", "pandas").DataFrame.from_records(records)
    return table.set_index("id") if len(table.columns) else table


def measured(table: pd.DataFrame, measure: str, groups: Iterable[str] = ()) -> pd.DataFrame:
    """Return the rows that have a measure, the best first; of a study's, those that are done.

    Raises
    ------
    ValueError
        There is no such column, of the measure or of `groups`, or no such row.
    """
    for name in (measure, *groups):
        check_column(name, table.columns)
    done = table[table[measure].notna()]
    if "status" in table.columns:
        done = done[done["status"] == DONE]
    if not len(done):
        raise ValueError(f"no run has a {measure}")
    return done.sort_values(measure, ascending=not measure.endswith(HIGHER), kind="stable")


def best_rows(table: pd.DataFrame, measure: str, per: list[str]) -> pd.DataFrame:
    """Return the best rows, as `Study.best`."""
    ordered = measured(table, measure, per)
    if not per:
        return ordered.head(1)
    first = ordered.groupby(per, sort=False, dropna=False).head(1)
    return first.sort_values(per, kind="stable")


def best_settings(
    table: pd.DataFrame, measure: str, per: list[str], mean_over: list[str]
) -> pd.DataFrame:
    """Return all rows of the settings with the best means, as `Study.best`."""
    for name in mean_over:
        check_column(name, table.columns)
    row = table.columns[: list(table.columns).index("status")]
    setting = [name for name in row if name not in (*per, *mean_over, "seed")]
    values = measured(table, measure, per)[measure].reindex(table.index)
    keys = [table[name] for name in (*per, *setting)] or [values.isna() & False]
    groups = values.groupby(keys, sort=False, dropna=False)
    means = groups.transform("mean").where(groups.transform("count") == groups.transform("size"))
    best = best_rows(table.assign(**{measure: means}), measure, per).index
    number = groups.ngroup()
    chosen = table[number.isin(number[best])]
    return chosen.sort_values(per, kind="stable") if per else chosen


def names_of(columns: str | Iterable[str]) -> list[str]:
    """Return names of columns, or the one name, as a list."""
    return [columns] if isinstance(columns, str) else list(columns)


def check_column(name: str, columns: Iterable[str]) -> None:
    """Raise ValueError for a name that is none of the columns."""
    if name not in (known := list(columns)):
        raise ValueError(
            f"there is no column {shown(name)}; there are {', '.join(known)}{hint(name, known)}"
        )


def alternatives(name: str, value: Any) -> list[Any]:
    """Return the values that a value, or a list of values, stands for, as a table shows them."""
    single = isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable)
    return [readable(plain(name, each)) for each in ([value] if single else value)]
