"""A page of HTML to look at a study: counts, figures, the best runs, the failed ones."""

from __future__ import annotations

import html
import io
import json
import math
from typing import Any

from .._optional import extra
from ..training import markup
from .figures import draw_curves, draw_scores
from .plain import readable
from .table import measured
from .work import DONE

ROWS = 200  #: of a table
BRIEF = 10  #: rows that a notebook shows
CURVES = (0.0, 0.25, 0.5, 0.75, 1.0)  #: places of the runs with a curve, from best to worst

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }}
th, td {{ padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }}
th {{ position: sticky; top: 0; background: #fff; cursor: pointer; }}
td.text, th.text {{ text-align: left; }}
svg {{ max-width: 100%; height: auto; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
.scroll {{ max-height: 30rem; overflow: auto; }}
</style></head><body>
<h1>{title}</h1>
<p>{counts}</p>
{parts}
<script>
document.querySelectorAll("th").forEach(head => head.onclick = () => {{
  const body = head.closest("table").tBodies[0], k = head.cellIndex, up = head.dataset.up !== "1";
  const key = row => row.cells[k].dataset.v ?? row.cells[k].textContent;
  head.dataset.up = up ? "1" : "0";
  [...body.rows].sort((a, b) => {{
    const x = key(a), y = key(b), d = x - y;
    return (up ? 1 : -1) * (isNaN(d) ? x.localeCompare(y) : d);
  }}).forEach(row => body.append(row));
}});
</script></body></html>
"""


def brief(study: Any) -> str:
    """Return a table of the runs of a `Study` with the least loss, of validation data if there are.

    It needs neither pandas nor Matplotlib.
    """
    records = study.records()
    validates = any("val_loss" in record for record in records)
    measure = "val_loss" if validates else "train_loss"
    shown = sorted(records, key=lambda record: _rank(record, measure))[:BRIEF]
    there = (name for record in shown for name, value in record.items() if _short(value))
    columns = list(dict.fromkeys(there))
    rows = [[_short(record.get(name)) for name in columns] for record in shown]
    more = f"{len(shown)} of {len(records)} runs, of least {measure}" if records[BRIEF:] else ""
    return markup.table(repr(study).strip("<>"), columns, rows, more)


def _rank(record: dict[str, Any], measure: str) -> float:
    """Return the measure of a run that is done; infinite if it has none."""
    value = record.get(measure, math.nan) if record["status"] == DONE else math.nan
    return math.inf if math.isnan(value) else value


def _short(value: Any) -> str:
    """Return a value of a record as a table shows it."""
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def page(study: Any, measure: str) -> str:
    """Return the page of a `Study`.

    Raises
    ------
    ImportError
        pandas or Matplotlib is not installed.
    """
    table = study.to_frame()
    parts = [_section("Settings of all runs", _settings(study.settings))]
    if DONE in set(table["status"]):
        ordered = measured(table, measure)
        parts.append(_section("Scores and curves", _figures(study, ordered, measure)))
        parts.append(_section(f"Runs by {measure}", _table(ordered)))
    if len(failed := study.failed):
        parts.append(_section("Failed runs", _table(failed)))
    counts = ", ".join(f"{n} {status}" for status, n in study.counts().items())
    seconds = table["seconds"].sum()
    epochs = int(table["epochs_trained"].fillna(0).sum())
    told = f"{len(table)} runs: {counts}. {epochs:,} epochs of a model in {seconds:,.1f} s."
    title = html.escape(f"Study {study.path}".strip())
    return PAGE.format(title=title, counts=html.escape(told), parts="\n".join(parts))


def _section(title: str, content: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{content}"


def _settings(settings: dict[str, Any]) -> str:
    shown = {name: readable(value) for name, value in settings.items() if value is not None}
    return f"<p>{html.escape(', '.join(f'{k} = {v}' for k, v in shown.items()))}</p>"


def _figures(study: Any, ordered: Any, measure: str) -> str:
    """Return a score by each column of numbers that differs, and curves from best to worst."""
    figures = []
    columns = ordered.columns[: list(ordered.columns).index("status")]
    for name in columns:
        values = ordered[name].dropna()
        if name != "seed" and 1 < values.nunique() <= 50:
            figures.append(
                _svg(lambda ax, name=name: draw_scores(ax, ordered, name, measure, None))
            )
    places = sorted({round(share * (len(ordered) - 1)) for share in CURVES})
    chosen = ordered.iloc[places]
    histories = [study.history(id) for id in chosen.index]
    names = [f"{place + 1} of {len(ordered)}" for place in places]
    measures = ("loss", "val_loss") if measure.startswith(("val_", "test_")) else ("loss",)
    figures.append(_svg(lambda ax: draw_curves(ax, histories, measures, names)))
    return f'<div class="figures">{"".join(figures)}</div>'


def _svg(draw: Any) -> str:
    """Return a figure as SVG, to stand in a page."""
    figure = extra("matplotlib.figure", "plot").Figure(figsize=(5, 3.4), layout="constrained")
    draw(figure.subplots())
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().partition("<svg")[2].join(("<svg", ""))


def _table(table: Any) -> str:
    """Return the first rows of a data frame."""
    shown = table.head(ROWS).replace("", None).dropna(axis="columns", how="all").reset_index()
    kinds = ["text" if shown[name].dtype.kind not in "biuf" else "" for name in shown.columns]
    cells = zip(kinds, shown.columns, strict=True)
    head = "".join(f'<th class="{kind}">{html.escape(str(name))}</th>' for kind, name in cells)
    body = "".join(
        f"<tr>{''.join(map(_cell, kinds, row))}</tr>" for row in shown.itertuples(index=False)
    )
    more = f"<p>The first {ROWS} of {len(table)}.</p>" if len(table) > ROWS else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"</div>{more}"
    )


def _cell(kind: str, value: Any) -> str:
    if kind:
        return f'<td class="text">{html.escape(str(value))}</td>'
    if isinstance(value, float) and math.isnan(value):
        return "<td></td>"
    return f"<td data-v={json.dumps(str(value))}>{value:.6g}</td>"
