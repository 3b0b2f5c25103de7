"""Results as a chart: the time of every peer as a multiple of ours, with our own time written out.

A row is a workload.  A dot is a peer's median; its whiskers reach from the least to the largest
ratio of all rounds of all runs.  The best peer's dot is filled and its ratio written beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from .._optional import extra
from .peers import PEERS
from .results import OURS, Measured, Results, Timing
from .rows import TRAINED
from .tables import duration

#: colours that people with any colour vision tell apart (Okabe and Ito, 2008), and marks
STYLES = {
    "JAX": ("#0072B2", "o"),
    "PyTorch": ("#D55E00", "s"),
    "Keras": ("#CC79A7", "^"),
    "onnxruntime": ("#E69F00", "v"),
    "NumPy": ("#009E73", "D"),
}
#: people who train networks of these sizes
WHO = {
    "tutorial": "a first script, one sequence at a time",
    "cognitive": "cognitive modelling",
    "hydrology": "rainfall and runoff",
    "audio": "amplifier modelling",
    "neuro": "neuroscience",
    "neuro-every": "neuroscience",
    "control": "recurrent policies",
    "finance": "two stacked layers",
    "wide-rnn": "the upper end",
    "wide-lstm": "the upper end",
}
INCHES = 0.42  # a row
MARKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Theme(NamedTuple):
    """Colours of a chart."""

    page: str
    text: str
    faint: str
    band: str


THEMES = {
    "light": Theme("#ffffff", "#1f2328", "#6e7781", "#f3f5f8"),
    "dark": Theme("#0d1117", "#e6edf3", "#8b949e", "#161b22"),
}


class Spread(NamedTuple):
    """Ratios of a peer's time to ours."""

    middle: float
    low: float
    high: float


def check(path: Path) -> None:
    """Refuse a chart that cannot be written, before the work and not after it.

    Raises
    ------
    ValueError
        There is no matplotlib, or it does not write files of that ending.
    """
    try:
        canvas = extra("matplotlib.backend_bases", "plot").FigureCanvasBase
    except ImportError as error:
        raise ValueError(str(error)) from error
    endings = canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in endings:
        raise ValueError(f"{path}: a chart's name must end in one of {', '.join(sorted(endings))}")


def plot(runs: Results | Sequence[Results], path: Path) -> None:
    """Write a chart of one or several runs, and beside it the same for dark pages.

    Parameters
    ----------
    path : Path
        The ending chooses the format; the dark chart of ``bench.png`` is ``bench-dark.png``.

    Raises
    ------
    ValueError
        Nothing was measured.
    """
    runs = [runs] if isinstance(runs, Results) else list(runs)
    names = [name for name in runs[0].rows if all(name in run.rows for run in runs)]
    if not names:
        raise ValueError("there is nothing to plot: no row was measured")
    for theme, place in (("light", path), ("dark", path.with_stem(f"{path.stem}-dark"))):
        draw(runs, names, THEMES[theme]).savefig(place, dpi=150)


def draw(runs: Sequence[Results], names: Sequence[str], theme: Theme) -> Any:
    """Draw the chart; returns a matplotlib figure."""
    height = 1.9 + INCHES * len(names)
    fig = extra("matplotlib.figure", "plot").Figure(figsize=(10, height), facecolor=theme.page)
    below, above = 0.85 / height, 1 - 0.95 / height
    ax = fig.add_axes((0.40, below, 0.57, above - below), facecolor=theme.page)
    every = [run.rows[name] for run in runs for name in names]
    for y, name in enumerate(names):
        if y % 2 == 0:
            ax.axhspan(y - 0.5, y + 0.5, xmin=-0.70, color=theme.band, zorder=0, clip_on=False)
        row(ax, y, name, [run.rows[name] for run in runs], theme)
    axes(ax, len(names), theme)
    legend(ax, theme, [peer for peer in PEERS if spread(every, peer)])
    title = "One training step" if runs[0].settings.subject in TRAINED else "One step of a stream"
    claim = "time of rnn_fast, and how many times as long others take"
    top = {"va": "top", "ha": "left"}
    fig.text(0.012, 1 - 0.2 / height, title, color=theme.text, weight="bold", size=14, **top)
    fig.text(0.012, 1 - 0.52 / height, claim, color=theme.faint, size=10, **top)
    fig.text(0.012, 0.08 / height, footer(runs), color=theme.faint, size=7.5, va="bottom")
    return fig


def row(ax: Any, y: int, name: str, measured: Sequence[Measured], theme: Theme) -> None:
    """Draw one workload: who trains it, our time, and a dot with whiskers for each peer."""
    place = {"transform": ax.get_yaxis_transform(), "va": "center"}
    what = f"{WHO.get(name, '')}  {measured[0].row}".strip()
    ax.text(-0.68, y - 0.15, name, color=theme.text, weight="bold", size=9.5, **place)
    ax.text(-0.68, y + 0.22, what, color=theme.faint, size=7.5, **place)
    ours = [each.best(OURS) for each in measured]
    times = [timing.median for timing in ours if timing]
    ours_text = duration(median(times))
    ax.text(-0.02, y, ours_text, color=theme.text, weight="bold", size=11, ha="right", **place)
    spreads = {peer: spread(measured, peer) for peer in PEERS}
    there = {peer: each for peer, each in spreads.items() if each}
    best = min(there, key=lambda peer: there[peer].middle, default=None)
    for peer, each in there.items():
        color, marker = STYLES[peer]
        ax.plot([each.low, each.high], [y, y], color=color, linewidth=1.5, alpha=0.6, zorder=2)
        face = color if peer == best else theme.page
        mark = {"marker": marker, "facecolors": face, "edgecolors": color, "linewidths": 1.6}
        ax.scatter([each.middle], [y], s=58, zorder=3, **mark)
    if best is not None:
        x, style = there[best].middle, {"size": 8, "weight": "bold", "ha": "center", "zorder": 4}
        at = {"xytext": (0, 8), "textcoords": "offset points"}
        ax.annotate(f"{x:.1f}", (x, y), color=theme.text, **at, **style)


def spread(measured: Sequence[Measured], peer: str) -> Spread | None:
    """Return the ratios of a peer to rnn_fast: their median, least and largest; None without it."""
    ratios: list[float] = []
    for each in measured:
        theirs, ours = each.best(peer), each.best(OURS)
        if theirs and ours:
            ratios += by_round(theirs, ours)
    return Spread(median(ratios), min(ratios), max(ratios)) if ratios else None


def by_round(slower: Timing, faster: Timing) -> list[float]:
    """Return the ratio within each round."""
    return [a / b for a, b in zip(slower.seconds, faster.seconds, strict=True)]


def axes(ax: Any, n_rows: int, theme: Theme) -> None:
    """Set the scale, the grid and the line of rnn_fast."""
    ax.set_xscale("log")
    high = max(ax.get_xlim()[1], 10) * 1.1
    ax.set_xlim(0.8, high)
    ax.set_ylim(n_rows - 0.5, -0.5)  # the first on top
    ax.axvline(1, color=theme.text, linewidth=2, zorder=1)
    marks = [mark for mark in MARKS if mark <= high]
    ax.set_xticks(marks, [f"{mark}" for mark in marks])
    ax.set_xticks([], minor=True)
    ax.set_yticks([])
    ax.grid(axis="x", color=theme.faint, linewidth=0.5, alpha=0.35)
    ax.tick_params(colors=theme.faint, labelsize=9, length=0)
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    ax.set_xlabel("times as long as rnn_fast", color=theme.faint, fontsize=9)


def legend(ax: Any, theme: Theme, peers: Sequence[str]) -> None:
    """Name the marks above the rows."""
    line = extra("matplotlib.lines", "plot").Line2D
    handles = [line([], [], color=theme.text, linewidth=2, label="rnn_fast")]
    for peer in peers:
        color, marker = STYLES[peer]
        mark = {"color": color, "marker": marker, "linewidth": 0, "markeredgewidth": 1.6}
        handles.append(line([], [], markerfacecolor="none", label=peer, **mark))
    handles.append(line([], [], color=theme.faint, marker="o", linewidth=0, label="filled: best"))
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.01, 1.0),
        ncols=6,
        frameon=False,
        fontsize=8.5,
        labelcolor=theme.text,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def footer(runs: Sequence[Results]) -> str:
    """Say on what and how it was measured."""
    machine, n_rounds = runs[0].machine, sum(run.settings.rounds for run in runs)
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    how = f"one thread each; medians of {n_rounds} rounds"
    if len(runs) > 1:
        how += f" of {len(runs)} runs"
    return f"{machine['processor']}, {machine['vectors']}; {how}; whiskers: all rounds\n{versions}"
