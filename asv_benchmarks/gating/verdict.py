"""From two asv result files to a verdict.  Nothing here measures, and nothing needs asv.

A side's folder holds asv's ``benchmarks.json``, the list of what there is to measure, and asv's
result files.  A result is taken as the file has it: the samples are its rounds, in their order,
and round i of the one side ran right beside round i of the other.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

#: how much more is a regression, by unit; counters are exact, so any more is one, but for sizes
#: and memory, which grow with what the code can do.  Times: see README.md for the spreads.
LIMITS = {
    "allocations": 1.0,
    "multiply-adds": 1.05,
    "spills": 1.25,
    "bytes": 1.10,
    "MiB": 1.05,
    "mean squared error": 5.0,  # of the order of rounding, which any change may touch
    "import numpy": 1.15,
    "import numpy, once": 1.4,
    "times as long": 1.10,
    "tile-1": 1.08,
}

PASS, REGRESSION, UNMEASURED = 0, 1, 2

Item = tuple[str, int]  #: a benchmark's name, and the number of its combination of parameters


@dataclass
class Side:
    """What a folder of result files says."""

    listed: dict[Item, str]  #: what there is to measure, and how to print it
    units: dict[str, str]  #: of each benchmark
    samples: dict[Item, list[float]]  #: rounds of what was measured; all are finite
    errors: dict[str, str]  #: what a benchmark that failed has printed


@dataclass
class Verdict:
    """What follows for each item that has a result, or should have one."""

    unmeasured: dict[str, str] = field(default_factory=dict)  #: printed name, and why
    ratios: dict[Item, float] = field(default_factory=dict)  #: head / base, median of the rounds
    suspects: list[Item] = field(default_factory=list)
    better: list[Item] = field(default_factory=list)
    cleared: dict[Item, float] = field(default_factory=dict)  #: suspected once only; first ratio
    new: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The exit status."""
        return UNMEASURED if self.unmeasured else REGRESSION if self.suspects else PASS


def combinations(params: list[list[str]]) -> list[tuple[str, ...]]:
    """Combinations of parameters in asv's order; one, empty, without parameters."""
    return list(itertools.product(*params))


def listed(benchmarks: Iterable[dict[str, Any]]) -> dict[Item, str]:
    """Items of asv's list of benchmarks, and how to print them."""
    return {
        (each["name"], i): each["name"] + (f"({', '.join(values)})" if values else "")
        for each in benchmarks
        for i, values in enumerate(combinations(each["params"]))
    }


def is_tracked(item: Item) -> bool:
    """Whether the gate measures it; plain times are for the pages, and so are others' programs."""
    return item[0].rpartition(".")[2].startswith("track_") and not item[0].startswith("peers.")


def read_list(folder: Path) -> list[dict[str, Any]]:
    """Benchmarks in asv's ``benchmarks.json``."""
    listing = json.loads((folder / "benchmarks.json").read_text())
    return [each for name, each in listing.items() if name != "version"]


def read(folder: Path) -> Side:
    """All there is in a folder: asv's list and its result files."""
    benchmarks = read_list(folder)
    samples: dict[Item, list[float]] = {}
    printed = folder / "errors.json"
    errors = json.loads(printed.read_text()) if printed.is_file() else {}
    for file in sorted(folder.glob("*/*.json")):
        if file.name == "machine.json":
            continue
        data = json.loads(file.read_text())
        for name, row in data["results"].items():
            result = dict(zip(data["result_columns"], row))  # noqa: B905  # asv drops empty ends
            samples.update(finite_samples(name, result))
    units = {each["name"]: each.get("unit", "") for each in benchmarks}
    return Side(listed(benchmarks), units, samples, errors)


def finite_samples(name: str, result: dict[str, Any]) -> dict[Item, list[float]]:
    """Rounds of each combination of which every round gave a finite number."""
    found = {}
    values = result.get("result") or []
    rounds = result.get("samples") or [None] * len(values)
    for i, (value, own) in enumerate(zip(values, rounds, strict=True)):
        numbers = own or [value]
        sound = all(isinstance(x, (int, float)) and math.isfinite(x) for x in numbers)
        if value is not None and sound:
            found[name, i] = [float(x) for x in numbers]
    return found


def ratio(base: list[float], head: list[float]) -> float:
    """The median over the rounds of head / base; nothing has become nothing: 1."""
    pairs = zip(base, head, strict=True)
    return median(h / b if b > 0 else 1.0 if h <= 0 else math.inf for b, h in pairs)


def compare(
    base: Side,
    head: Side,
    *,
    only: str = "",
    removed: str = "",
    chosen: Iterable[Item] | None = None,
) -> Verdict:
    """The verdict on all items, or on those `chosen` for a second run.

    Parameters
    ----------
    only : str
        Regular expression of the names, as printed, that are looked at.
    removed : str
        Regular expression of the names that are known to be gone.
    """
    verdict = Verdict()
    if chosen is None:
        chosen = [i for i in head.listed if is_tracked(i) and re.search(only, head.listed[i])]
        for name in sorted(set(base.listed.values()) - set(head.listed.values())):
            if re.search(only, name) and not (removed and re.search(removed, name)):
                verdict.unmeasured[name] = "gone: base has it, head does not"
    for item in sorted(chosen):
        name, unit = head.listed[item], head.units[item[0]]
        before, after = base.samples.get(item), head.samples.get(item)
        if unit not in LIMITS:
            verdict.unmeasured[name] = f"no limit is known for its unit, {unit!r}"
        elif after is None:
            verdict.unmeasured[name] = "no result in head" + last_line(head.errors.get(item[0]))
        elif before is None:
            verdict.new.append(name)
        elif len(before) != len(after):
            verdict.unmeasured[name] = f"base has {len(before)} rounds, head has {len(after)}"
        else:
            change = verdict.ratios[item] = ratio(before, after)
            if change > LIMITS[unit]:
                verdict.suspects.append(item)
            elif change < 1 / LIMITS[unit]:
                verdict.better.append(item)
    if not verdict.ratios and not verdict.unmeasured:
        verdict.unmeasured["everything"] = "no benchmark has a result on both sides"
    return verdict


def last_line(text: str | None) -> str:
    """What an error ends with, for a list."""
    lines = (text or "").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def confirm(verdict: Verdict, again: Verdict) -> None:
    """Keep the suspects that a second run suspects, too; their ratio is that of the second."""
    verdict.unmeasured.update(again.unmeasured)
    cleared = [item for item in verdict.suspects if item not in again.suspects]
    verdict.cleared = {item: verdict.ratios[item] for item in cleared}
    verdict.suspects = list(again.suspects)
    verdict.ratios.update(again.ratios)


def report(verdict: Verdict, base: Side, head: Side) -> str:
    """What is to be said, the worst last."""

    def line(item: Item) -> str:
        unit = head.units[item[0]]
        before, after = median(base.samples[item]), median(head.samples[item])
        return (
            f"  {verdict.ratios[item]:6.3f} x  {head.listed[item]}: {before:.4g} -> {after:.4g}"
            f" {unit}, limit {LIMITS[unit]}"
        )

    def block(title: str, lines: list[str]) -> list[str]:
        return [title, *lines] if lines else []

    lines = [f"{len(verdict.ratios)} benchmarks compared"]
    lines += block("new, or not to be had in base:", [f"  {name}" for name in verdict.new])
    lines += block("better:", [line(item) for item in verdict.better])
    lines += block(
        "suspected once, not again:",
        [f"{line(item)}; first {first:.3f}" for item, first in verdict.cleared.items()],
    )
    lines += block("REGRESSION, confirmed:", [line(item) for item in verdict.suspects])
    lines += block("NOT MEASURED:", [f"  {n}: {why}" for n, why in verdict.unmeasured.items()])
    return "\n".join(lines)
