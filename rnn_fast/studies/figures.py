"""Figures of a study: a score by size, and learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._optional import extra
from ..training.history import History
from ..validation import shown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def axes_of(ax: Any) -> Axes:
    """Return axes to draw on: those passed, or those of a new figure.

    Raises
    ------
    TypeError
        `ax` is something else.
    ImportError
        Matplotlib is not installed.
    """
    if ax is None:
        return extra("matplotlib.pyplot", "plot").subplots()[1]
    if not hasattr(ax, "fill_between"):
        raise TypeError(f"ax must be axes of Matplotlib, or None; got {shown(ax)}")
    return ax


def draw_scores(ax: Axes, table: pd.DataFrame, x: str, measure: str, per: str | None) -> None:
    """Draw the mean of a measure over a column, with quartiles of the runs as a band.

    Parameters
    ----------
    ax : Axes
    table : DataFrame
        Runs that are done.
    x, measure : str
        Columns.
    per : str or None
        Column: a line for each of its values.
    """
    lines = [(None, table)] if per is None else list(table.groupby(per, sort=True, dropna=False))
    is_number = table[x].dtype.kind in "biuf"
    categories = None if is_number else sorted(set(table[x]), key=str)
    for label, rows in lines:
        groups = rows.groupby(x, sort=True)[measure]
        mean, low, high = groups.mean(), groups.quantile(0.25), groups.quantile(0.75)
        at = mean.index if categories is None else [categories.index(value) for value in mean.index]
        name = None if per is None else str(label)
        (line,) = ax.plot(at, mean, "o-", label=name)
        ax.fill_between(at, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    if categories is not None:
        ax.set_xticks(range(len(categories)), list(map(str, categories)))
    elif table[x].min() > 0 and table[x].max() >= 100 * table[x].min():
        ax.set_xscale("log")
    elif table[x].dtype.kind in "iu":
        ax.locator_params("x", integer=True)
    ax.set_xlabel(x)
    ax.set_ylabel(measure)
    if per is not None:
        ax.legend(title=per)


def draw_curves(
    ax: Axes, histories: Sequence[History], measures: Sequence[str], names: Sequence[str]
) -> None:
    """Draw curves of some runs over the epochs, a color for each run; the second measure dashed."""
    for k, (history, name) in enumerate(zip(histories, names, strict=True)):
        for measure, style in zip(measures, ("-", "--"), strict=False):
            curve = getattr(history, measure) or []
            label = name if style == "-" else None
            ax.plot(range(1, len(curve) + 1), curve, style, color=f"C{k % 10}", label=label)
    ax.set_xlabel("epoch")
    ax.set_ylabel(", ".join([measures[0], *(f"{name} (dashed)" for name in measures[1:])]))
    if len(histories) <= 5:
        ax.legend(fontsize="small")
