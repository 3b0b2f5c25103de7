"""Tables of each subject as text, and the notes below them."""

from __future__ import annotations

from collections.abc import Callable
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

Table = list[list[str]]  # the first row names the columns


def duration(seconds: float) -> str:
    """Return a duration with three digits and a unit."""
    for unit, size in (("us", 1e-6), ("ms", 1e-3)):
        digits = f"{seconds / size:.3g}"
        if float(digits) < 1000:
            return f"{digits} {unit}"
    return f"{seconds:.3g} s"


def factor(ratio: float) -> str:
    """Return a ratio with two digits, or as a whole number from 100 on."""
    return f"{ratio:.2g}" if ratio < 99.5 else f"{ratio:.0f}"


def times(measured: Measured) -> tuple[float, Timing] | None:
    """Return the best peer's time / rnn_fast's time, and the best peer; None without peers."""
    ours, best = measured.best(OURS), measured.best(PEERS)
    return (ratio(best, ours), best) if ours and best else None


def of_gemm(measured: Measured) -> float:
    """Return rnn_fast's rate as a share of the rate of NumPy's matrix product."""
    ours, product = measured.best(OURS), measured.best(GEMM)
    assert ours and product
    return ratio(product, ours) * ours.flop / product.flop


def steps(results: Results) -> tuple[Table, list[str]]:
    """Return the table of training steps, with all peers, and its notes."""
    speeds = {
        "GFLOP/s": lambda measured, ours: f"{ours.flop / ours.median / 1e9:.3g}",
        "of gemm": lambda measured, ours: f"{of_gemm(measured):.0%}",
    }
    table, notes = peered(results, speeds)
    step = "A training step is forward, back-propagation through time, all gradients, update."
    return table, [f"{step} {INTERLEAVED}", OF_GEMM, *notes]


def stream(results: Results) -> tuple[Table, list[str]]:
    """Return the table of a step of a stream, with all peers, and its notes."""
    table, notes = peered(results, {})
    step = "Time of one step of one sequence, without training. T steps come with each call, as a "
    step += "NumPy array, and their logits leave as one."
    return table, [f"{step} {INTERLEAVED}", *notes]


INTERLEAVED = (
    "Times are medians over interleaved rounds; ratios are formed within a round, then the median "
    "is taken."
)
OF_GEMM = (
    "of gemm: rnn_fast's rate as a share of NumPy's on this machine, for a product of 1024 x 1024 "
    "matrices in the same dtype. A step counts as 6 B T G H (I + H) operations, G gates."
)


def peered(
    results: Results, more: dict[str, Callable[[Measured, Timing], str]]
) -> tuple[Table, list[str]]:
    """Return the table of rnn_fast and all peers, and notes on the rows.

    `more` has further columns on rnn_fast: functions of a row and rnn_fast's timing.
    """
    families = [f for f in PEERS if any(m.best(f) for m in results.rows.values())]
    table = [["row", "network and batch", "rnn_fast", *more, *families]]
    table[0] += ["times the best peer", "the best peer"] if families else []
    leads, notes = [], []
    for name, measured in results.rows.items():
        ours = measured.best(OURS)
        assert ours is not None
        line = [name, str(measured.row), duration(ours.median)]
        line += [word(measured, ours) for word in more.values()]
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
    return table, notes


def script(measured: Measured) -> list[str]:
    """Return a note on the time of the tutorial's script, if the row has one."""
    own, plain, fit = (measured.best(family) for family in (SCRIPT, "NumPy", OURS))
    if not (own and fit):
        return []
    text = f"`forward` and `backward`, one call per sample, take {duration(own.median)}"
    if plain:
        text += f"; NumPy takes {factor(ratio(plain, own))} times as long, "
        text += f"and {factor(ratio(plain, fit))} times as long as `fit`"
    return [text]


def ragged(results: Results) -> tuple[Table, list[str]]:
    """Return the table of half-full batches, and its notes."""
    table = [["row", "network and batch"]]
    table[0] += ["padded", "ragged", "ratio", "PyTorch padded", "packed", "ratio"]
    notes = ["A half-full batch with lengths uniform from 1 to T, beside the same batch padded."]
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
    """Return the table of the adding problem, and its notes."""
    table = [["row", "network and batch", "rnn_fast", "PyTorch", "times"]]
    notes = ["Mean time of an update until rnn_fast solves the adding problem; both make as many."]
    for name, measured in results.rows.items():
        ours, theirs = measured.best(OURS), measured.best("PyTorch")
        assert ours is not None
        line = [name, str(measured.row), duration(ours.median)]
        line += [duration(theirs.median), factor(ratio(theirs, ours))] if theirs else ["-", "-"]
        table.append(line)
        notes += [f"{name}: {note}" for note in measured.notes]
    return table, notes


def threads(results: Results) -> tuple[Table, list[str]]:
    """Return the table of times on one core and on all cores, and its notes."""
    table = [["row", "network and batch", "one core", "all cores", "speed-up"]]
    notes = ["A row whose batch is one block, or too little work, always runs on one core."]
    for name, measured in results.rows.items():
        alone, together = measured.best(OURS), measured.best(TOGETHER)
        assert alone and together
        line = [duration(alone.median), duration(together.median)]
        table.append([name, str(measured.row), *line, f"{ratio(alone, together):.2f}"])
    return table, notes


TABLES: dict[str, Callable[[Results], tuple[Table, list[str]]]] = {
    "grid": steps,
    "ladder": steps,
    "online": steps,
    "stream": stream,
    "ragged": ragged,
    "adding": adding,
    "threads": threads,
}
