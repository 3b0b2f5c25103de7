"""Pieces of HTML that notebooks show, each complete in itself.

They are legible on light and on dark pages: letters and curves have the color of the text around
them, and nothing has a background.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

WIDTH, HEIGHT = 160, 32  #: of a curve, in pixels
CELL = "text-align: left; padding: .1em .8em .1em 0; border-bottom: 1px solid #8886"


class Markup(str):
    """Text that is HTML already."""


def escaped(value: Any) -> str:
    """Return a value as HTML."""
    from html import escape  # its table of entities takes 1 ms

    return value if isinstance(value, Markup) else escape(str(value))


def row_of(tag: str, cells: Iterable[Any]) -> str:
    """Return a row of a table, whose cells have a tag."""
    inner = "".join(f'<{tag} style="{CELL}">{escaped(each)}</{tag}>' for each in cells)
    return f"<tr>{inner}</tr>"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> str:
    """Return a table with a title above it and a note below it; all text is escaped."""
    body = "".join(row_of("td", row) for row in rows)
    return (
        f"<div><div><b>{escaped(title)}</b></div>"
        f'<table style="border-collapse: collapse"><thead>{row_of("th", head)}</thead>'
        f"<tbody>{body}</tbody></table><div>{escaped(note)}</div></div>"
    )


def curve(values: Sequence[float], dashed: bool = False) -> Markup:
    """Return a curve as SVG, over as many pixels at most; numbers that are not finite are left out.

    Parameters
    ----------
    values : sequence of float
        Heights, at equal distances.
    dashed : bool
        Whether the line is dashed.
    """
    heights = np.asarray(values, float)
    places = np.flatnonzero(np.isfinite(heights))
    if not len(places):
        return Markup("")
    chosen = places[np.linspace(0, len(places) - 1, min(len(places), WIDTH)).round().astype(int)]
    low, high = heights[chosen].min(), heights[chosen].max()
    x = chosen / max(len(heights) - 1, 1) * (WIDTH - 4) + 2
    with np.errstate(all="ignore"):
        y = (high - heights[chosen]) / ((high - low) or math.inf) * (HEIGHT - 4) + 2
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return Markup(
        f'<svg width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="currentColor" '
        f'stroke-width="1.5"{dashes}><polyline points="{points}"/></svg>'
    )
