"""Data frames of a study."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._optional import extra
from ..validation import hint, shown
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
    """Return the rows that are done and have a measure, the best first.

    Raises
    ------
    ValueError
        There is no such column, of the measure or of `groups`, or no such row.
    """
    for name in (measure, *groups):
        if name not in table.columns:
            raise ValueError(
                f"there is no column {shown(name)}; there are {', '.join(table.columns)}"
                f"{hint(name, list(table.columns))}"
            )
    done = table[(table["status"] == DONE) & table[measure].notna()]
    if not len(done):
        raise ValueError(f"no run has a {measure}")
    return done.sort_values(measure, ascending=not measure.endswith(HIGHER), kind="stable")


def best_rows(table: pd.DataFrame, measure: str, per: Iterable[str]) -> pd.DataFrame:
    """Return the best rows, as `Study.best`."""
    groups = [per] if isinstance(per, str) else list(per)
    ordered = measured(table, measure, groups)
    if not groups:
        return ordered.head(1)
    first = ordered.groupby(groups, sort=False, dropna=False).head(1)
    return first.sort_values(groups, kind="stable")
