"""Range of the ratios over several runs of one subject.

Contenders take turns within a run, so a ratio holds for the minutes in which its row ran. A machine
or a process may slow one contender and not another. Only several runs show this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .peers import PEERS
from .results import GEMM, OURS, PACKED, RAGGED_OURS, TOGETHER, Measured, Results, ratio
from .rows import PEERED
from .tables import Table, duration, factor, of_gemm, times

#: Families (slower, faster) of the ratio in each column.
RATIOS: dict[str, dict[str, tuple[str, str]]] = {
    **{subject: {family: (family, OURS) for family in PEERS} for subject in PEERED},
    "ragged": {
        "ragged / padded": (RAGGED_OURS, OURS),
        "PyTorch / padded": ("PyTorch", OURS),
        "PyTorch packed / ragged": (PACKED, RAGGED_OURS),
    },
    "adding": {"PyTorch": ("PyTorch", OURS)},
    "threads": {"speed-up": (OURS, TOGETHER)},
}
#: Formats of the columns that are not ratios.
WORDS: dict[str, Callable[[float], str]] = {"rnn_fast": duration, "of gemm": "{:.0%}".format}


def figures(measured: Measured, subject: str) -> dict[str, float]:
    """Return the figures of a row in one run, by column."""
    own = measured.best(OURS)
    assert own is not None
    found = {"rnn_fast": own.median}
    if measured.best(GEMM):
        found["of gemm"] = of_gemm(measured)
    for column, (slower, faster) in RATIOS[subject].items():
        one, other = measured.best(slower), measured.best(faster)
        if one and other:
            found[column] = ratio(one, other)
    if subject in PEERED and (lead := times(measured)):
        found["the best peer"] = lead[0]
    return found


def between(values: Sequence[float], word: Callable[[float], str]) -> str:
    """Return the least and the largest value as text, or a dash without values.

    A unit that both share is written once.
    """
    if not values:
        return "-"
    low, high = word(min(values)), word(max(values))
    unit = high.lstrip("0123456789.")
    return low if low == high else f"{low.removesuffix(unit)}-{high}"


def together(runs: Sequence[Results]) -> tuple[Table, list[str]]:
    """Return the table of several runs, and its notes.

    Raises
    ------
    ValueError
        If the runs have different subjects.
    """
    subjects = sorted({run.settings.subject for run in runs})
    if len(subjects) > 1:
        raise ValueError(f"runs of different subjects, {' and '.join(subjects)}")
    subject = subjects[0]
    rows: dict[str, list[dict[str, float]]] = {}
    networks: dict[str, str] = {}
    for run in runs:
        for name, measured in run.rows.items():
            rows.setdefault(name, []).append(figures(measured, subject))
            networks[name] = str(measured.row)
    there = {column for found in rows.values() for each in found for column in each}
    known = ("rnn_fast", "of gemm", *RATIOS[subject], "the best peer")
    columns = [column for column in known if column in there]
    table = [["row", "network and batch", *columns]]
    for name, found in rows.items():
        of_all = [[each[column] for each in found if column in each] for column in columns]
        words = [WORDS.get(column, factor) for column in columns]
        table.append([name, networks[name], *map(between, of_all, words)])
    return table, [f"The least and the largest of {len(runs)} runs.", EXPLAINED[subject]]


EXPLAINED = {
    **dict.fromkeys(PEERED, "Peers: time of the fastest form / time of rnn_fast."),
    "ragged": "rnn_fast: time of the padded batch. Ragged batches are half full, with lengths "
    "uniform from 1 to T. a / b: time of a / time of b.",
    "adding": "PyTorch: time of PyTorch / time of rnn_fast, for the same number of updates.",
    "threads": "rnn_fast: time on one core. speed-up: time on one core / time on all cores.",
}
