"""Results as text for a terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .peers import TAKE_PART
from .results import Results
from .rows import PEERED
from .runs import together
from .tables import TABLES, Table

ENOUGH = 0.9  # share of a core; a smaller share means that the machine was busy


def report(runs: Sequence[Results]) -> tuple[Table, list[str]]:
    """Return the table of one run or of several runs, and the notes below the table.

    Raises
    ------
    ValueError
        If the runs have different subjects.
    """
    return TABLES[runs[0].settings.subject](runs[0]) if len(runs) == 1 else together(runs)


def said(runs: Sequence[Results], about: Callable[[Results], list[str]]) -> list[str]:
    """Return the lines that `about` returns for all runs, without repeats."""
    return list(dict.fromkeys(line for run in runs for line in about(run)))


def machine(results: Results) -> list[str]:
    """Return lines on the machine, the versions, and how busy the machine was."""
    m = results.machine
    if not m:
        return []
    each = "" if results.settings.subject == "threads" else "; one thread each"
    where = f"{m['processor']} ({m['vectors']}), {m['cores']} cores, {m['system']}{each}"
    lines = [where, ", ".join(f"{name} {version}" for name, version in m["versions"].items())]
    cores = [measured.core for measured in results.rows.values()]
    if cores and min(cores) < ENOUGH:
        had = f"in one row the measurement got only {min(cores):.0%} of its core"
        lines.append(f"The machine was busy: {had}. Trust the ratios, not the times.")
    return lines


def left_out(results: Results) -> list[str]:
    """Return one line for each peer, form or row that is missing."""
    settings = results.settings
    lines = [f"left out: {text}" for text in results.left_out]
    if settings.quick and settings.subject in PEERED:
        keras = ", Keras" if "Keras" in TAKE_PART[settings.subject] else ""
        lines.append(f"left out by --quick: the other rows, slow-compiling forms{keras}")
    if missing := [name for name in settings.rows if name not in results.rows]:
        why = "; the time ran out" if settings.quick else ""
        lines.append(f"not measured: {', '.join(missing)}{why}")
    return lines


def text(*runs: Results) -> str:
    """Return a report with aligned columns, for a terminal."""
    table, notes = report(runs)
    lines = aligned(table) if len(table) > 1 else []
    return "\n".join([*said(runs, machine), "", *lines, "", *notes, *said(runs, left_out)])


def markdown(*runs: Results) -> str:
    """Return a report in Markdown."""
    table, notes = report(runs)
    head, *body = [f"| {' | '.join(line)} |" for line in table]
    rule = f"|{'---|' * len(table[0])}"
    words = [f"{line}  " for line in [*notes, *said(runs, machine), *said(runs, left_out)]]
    return "\n".join([head, rule, *body, "", *words])


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: words aligned to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    words = {0, 1, len(table[0]) - 1 if table[0][-1] == "the best peer" else 0}
    return [
        "  ".join(
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
