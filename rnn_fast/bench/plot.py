"""Results as a chart: everyone's time against ours, and our share of the machine's product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._optional import extra
from .peers import PEERS
from .results import OURS, Results, ratio
from .tables import of_gemm

STYLES = {"JAX": ("C0", "o"), "PyTorch": ("C1", "s"), "Keras": ("C2", "^"), "NumPy": ("C7", "D")}
INCHES = 0.28  # a row


def check(path: Path) -> None:
    """Refuse a chart that cannot be written, before the work is done and not after it.

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


def plot(results: Results, path: Path) -> None:
    """Write a chart of the field grid; the file's ending says in what format.

    Raises
    ------
    ValueError
        Nothing was measured.
    """
    figure = extra("matplotlib.figure", "plot").Figure
    if not results.rows:
        raise ValueError("there is nothing to plot: no row was measured")
    names, machine = list(results.rows), results.machine
    fig = figure(figsize=(10, 1.7 + INCHES * len(names)), layout="constrained")
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    against_peers(left, results)
    against_gemm(right, results)
    left.set_yticks(range(len(names)), [f"{name}:  {results.rows[name].row}" for name in names])
    left.set_ylim(len(names) - 0.4, -0.6)  # the first on top
    for ax in (left, right):
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(labelsize=8)
    where = f"{machine['processor']}, {machine['vectors']}, one thread each"
    fig.suptitle(f"One training step on {where}", fontsize=11)
    fig.savefig(path, dpi=150)


def against_peers(ax: Any, results: Results) -> None:
    """Draw a dot for each peer, on a logarithmic scale where we are at 1."""
    ax.axvline(1, color="black", linewidth=1.5, label="rnn_fast")
    for family in PEERS:
        points = []
        for y, measured in enumerate(results.rows.values()):
            ours, theirs = measured.best(OURS), measured.best(family)
            if ours and theirs:
                points.append((ratio(theirs, ours), y))
        if points:
            color, marker = STYLES[family]
            style = {"marker": marker, "edgecolors": color, "facecolors": "none"}
            ax.scatter(*zip(*points, strict=True), s=36, linewidths=1.6, label=family, **style)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.9), max(high, 10))
    marks = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= ax.get_xlim()[1]]
    ax.set_xticks(marks, [f"{n}" for n in marks])
    ax.set_xticks([], minor=True)
    ax.grid(axis="x", color="0.85", linewidth=0.8)
    ax.grid(axis="y", color="0.93", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel("times as long as rnn_fast", fontsize=9)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=5, frameon=False, fontsize=9)


def against_gemm(ax: Any, results: Results) -> None:
    """Draw a bar of our rate for each row, as a percentage of the matrix product's."""
    shares = [100 * of_gemm(measured) for measured in results.rows.values()]
    bars = ax.barh(range(len(shares)), shares, height=0.6, color="0.75")
    ax.bar_label(bars, fmt="%.0f", label_type="center", fontsize=8)
    ax.axvline(100, color="black", linewidth=0.8, linestyle=":")
    ax.set_xlim(0, 1.15 * max(100, *shares))
    ax.set_xlabel("rate, % of gemm", fontsize=9)
