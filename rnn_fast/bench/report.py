"""Results as text for people, or as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log

from .peers import PEERS
from .results import (
    GEMM,
    OURS,
    PACKED,
    RAGGED_OURS,
    SCRIPT,
    TOGETHER,
    Measured,
    Results,
    Timing,
    ratio,
)
from .rows import PEERED

Table = list[list[str]]  # the first row names the columns
ENOUGH = 0.9  # of a core: below, the machine was busy


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("us", 1e-6), ("ms", 1e-3)):
        digits = f"{seconds / size:.3g}"
        if float(digits) < 1000:
            return f"{digits} {unit}"
    return f"{seconds:.3g} s"


def factor(ratio: float) -> str:
    """Two digits, or a whole number."""
    return f"{ratio:.2g}" if ratio < 99.5 else f"{ratio:.0f}"


def times(measured: Measured) -> tuple[float, Timing] | None:
    """How many times as long the best peer takes, and which that is; None without peers."""
    ours, best = measured.best(OURS), measured.best(PEERS)
    return (ratio(best, ours), best) if ours and best else None


def of_gemm(measured: Measured) -> float:
    """Our share of the rate of the machine's own matrix product."""
    ours, product = measured.best(OURS), measured.best(GEMM)
    assert ours and product
    return ratio(product, ours) * ours.flop / product.flop


# ------------------------------------------------------------------------------------- tables


def steps(results: Results) -> tuple[Table, list[str]]:
    """The table of training steps beside all peers, and what is to be said below."""
    families = [f for f in PEERS if any(m.best(f) for m in results.rows.values())]
    table = [["row", "network and batch", "rnn_fast", "GFLOP/s", "of gemm", *families]]
    table[0] += ["times the best peer", "the best peer"] if families else []
    leads, notes = [], []
    for name, measured in results.rows.items():
        ours = measured.best(OURS)
        assert ours is not None
        speed = f"{ours.flop / ours.median / 1e9:.3g}"
        line = [name, str(measured.row), duration(ours.median), speed, f"{of_gemm(measured):.0%}"]
        found = [measured.best(family) for family in families]
        line += [duration(timing.median) if timing else "-" for timing in found]
        if lead := times(measured):
            leads.append(lead[0])
            line += [factor(lead[0]), lead[1].name]
        else:
            line += ["-", "-"] if families else []
        table.append(line)
        notes += [f"{name}: {note}" for note in [*script(measured), *measured.notes]]
    if leads:
        mean = exp(sum(map(log, leads)) / len(leads))
        spread = f"{factor(min(leads))} to {factor(max(leads))} times the best peer"
        notes.insert(0, f"{spread}, {factor(mean)} in the geometric mean.")
    return table, [*EXPLAINED, *notes]


EXPLAINED = [
    "A training step is forward, back-propagation through time, all gradients, update. Times are "
    "medians of interleaved rounds, ratios are medians of those within a round.",
    "of gemm: our rate as a share of this machine's own NumPy product of matrices, 1024 cubed, in "
    "the same dtype; a step counts as 6 B T G H (I + H) operations, G gates.",
]


def script(measured: Measured) -> list[str]:
    """How the tutorial's script does, if the row has it."""
    own, plain, fit = (measured.best(family) for family in (SCRIPT, "NumPy", OURS))
    if not (own and fit):
        return []
    text = f"`forward` and `backward`, a call a sample, take {duration(own.median)}"
    if plain:
        text += f"; a NumPy class takes {factor(ratio(plain, own))} times as long, "
        text += f"and {factor(ratio(plain, fit))} times as long as `fit`"
    return [text]


def ragged(results: Results) -> tuple[Table, list[str]]:
    """The table of half-full batches."""
    table = [["row", "network and batch"]]
    table[0] += ["padded", "ragged", "ratio", "PyTorch padded", "packed", "ratio"]
    notes = ["A half-full batch, lengths uniform from 1 to T, beside the same batch padded."]
    for name, measured in results.rows.items():
        line = [name, str(measured.row)]
        for families in ((OURS, RAGGED_OURS), ("PyTorch", PACKED)):
            padded, full = (measured.best(family) for family in families)
            if padded and full:
                line += [duration(padded.median), duration(full.median)]
                line.append(f"{ratio(full, padded):.2f}")
            else:
                line += ["-"] * 3
        table.append(line)
        notes += [f"{name}: {note}" for note in measured.notes]
    return table, notes


def adding(results: Results) -> tuple[Table, list[str]]:
    """The table of the adding problem."""
    table = [["row", "network and batch", "rnn_fast", "PyTorch", "times"]]
    notes = ["Time of an update until the adding problem is solved, in as many updates."]
    for name, measured in results.rows.items():
        ours, theirs = measured.best(OURS), measured.best("PyTorch")
        assert ours is not None
        line = [name, str(measured.row), duration(ours.median)]
        line += [duration(theirs.median), factor(ratio(theirs, ours))] if theirs else ["-", "-"]
        table.append(line)
        notes += [f"{name}: {note}" for note in measured.notes]
    return table, notes


def threads(results: Results) -> tuple[Table, list[str]]:
    """The table of one core and all."""
    table = [["row", "network and batch", "one core", "all cores", "speed-up"]]
    notes = ["Rows whose batch is one block of lanes, or too little work, are left to one core."]
    for name, measured in results.rows.items():
        alone, together = measured.best(OURS), measured.best(TOGETHER)
        assert alone and together
        line = [duration(alone.median), duration(together.median)]
        table.append([name, str(measured.row), *line, f"{ratio(alone, together):.2f}"])
    return table, notes


TABLES: dict[str, Callable[[Results], tuple[Table, list[str]]]] = {
    "grid": steps,
    "ladder": steps,
    "ragged": ragged,
    "adding": adding,
    "threads": threads,
}

# -------------------------------------------------------------------------------------- words


def machine(results: Results) -> list[str]:
    """On what it ran, what the machine was doing, and who is missing."""
    m = results.machine
    if not m:
        return []
    each = "" if results.settings.subject == "threads" else "; one thread each"
    where = f"{m['processor']} ({m['vectors']}), {m['cores']} cores, {m['system']}{each}"
    lines = [where, ", ".join(f"{name} {version}" for name, version in m["versions"].items())]
    cores = [measured.core for measured in results.rows.values()]
    if cores and min(cores) < ENOUGH:
        had = f"in one row the measurement had {min(cores):.0%} of its core"
        lines.append(f"The machine was busy: {had}. Trust the ratios, not the times.")
    return lines


def left_out(results: Results) -> list[str]:
    """What is missing, in a line each."""
    settings = results.settings
    lines = [f"left out: {text}" for text in results.left_out]
    if settings.quick and settings.subject in PEERED:
        lines.append("left out by --quick: the other rows, forms that compile long, Keras")
    if missing := [name for name in settings.rows if name not in results.rows]:
        why = "; there was no time" if settings.quick else ""
        lines.append(f"not measured: {', '.join(missing)}{why}")
    return lines


def text(results: Results) -> str:
    """For a terminal: aligned columns."""
    table, notes = TABLES[results.settings.subject](results)
    lines = aligned(table) if results.rows else []
    return "\n".join([*machine(results), "", *lines, "", *notes, *left_out(results)])


def markdown(results: Results) -> str:
    """For a page."""
    table, notes = TABLES[results.settings.subject](results)
    head, *body = [f"| {' | '.join(line)} |" for line in table]
    rule = f"|{'---|' * len(table[0])}"
    words = [f"{line}  " for line in [*notes, *machine(results), *left_out(results)]]
    return "\n".join([head, rule, *body, "", *words])


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """The table in columns: words to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    words = {0, 1, len(table[0]) - 1 if table[0][-1] == "the best peer" else 0}
    return [
        "  ".join(
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
