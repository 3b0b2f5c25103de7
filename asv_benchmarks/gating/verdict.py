"""Verdict from asv result files of two sides.  This module measures nothing and needs no asv.

The folder of a side contains ``benchmarks.json``, asv's list of benchmarks, and asv's result files.
The samples of a result are its rounds, in order.  Round i of base ran side by side with round i of
head.
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

#: largest head / base that is no regression, by unit.  Allocations are exact, so any increase is a
#: regression.  Sizes and memory may grow with new features.  README.md has the spreads of times.
LIMITS = {
    "allocations": 1.0,
    "multiply-adds": 1.05,
    "spills": 1.25,
    "bytes": 1.10,
    "MiB": 1.05,
    "mean squared error": 5.0,  # any change may alter rounding, which alters the error
    "import numpy": 1.15,
    "import numpy, once": 1.4,
    "times as long": 1.10,
    "tile-1": 1.08,
}

PASS, REGRESSION, UNMEASURED = 0, 1, 2

Item = tuple[str, int]  #: name of a benchmark, and index of a combination of parameters


@dataclass
class Side:
    """Contents of a folder of result files."""

    listed: dict[Item, str]  #: items to measure, and their printed names
    units: dict[str, str]  #: unit of each benchmark
    samples: dict[Item, list[float]]  #: rounds of measured items; all are finite
    errors: dict[str, str]  #: output of each failed benchmark


@dataclass
class Verdict:
    """Verdict on each item that has a result, or should have one."""

    unmeasured: dict[str, str] = field(default_factory=dict)  #: printed name, and the reason
    ratios: dict[Item, float] = field(default_factory=dict)  #: head / base, median over the rounds
    suspects: list[Item] = field(default_factory=list)
    better: list[Item] = field(default_factory=list)
    cleared: dict[Item, float] = field(default_factory=dict)  #: by the second run; first ratio
    new: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        """Exit status of the gate."""
        return UNMEASURED if self.unmeasured else REGRESSION if self.suspects else PASS


def combinations(params: list[list[str]]) -> list[tuple[str, ...]]:
    """Return combinations of parameters in asv's order; one empty one without parameters."""
    return list(itertools.product(*params))


def listed(benchmarks: Iterable[dict[str, Any]]) -> dict[Item, str]:
    """Return the items of asv's list of benchmarks, and their printed names."""
    return {
        (each["name"], i): each["name"] + (f"({', '.join(values)})" if values else "")
        for each in benchmarks
        for i, values in enumerate(combinations(each["params"]))
    }


def is_tracked(item: Item) -> bool:
    """Return True if the gate measures an item; plain times and peers are only for the pages."""
    return item[0].rpartition(".")[2].startswith("track_") and not item[0].startswith("peers.")


def read_list(folder: Path) -> list[dict[str, Any]]:
    """Return the benchmarks in asv's ``benchmarks.json``."""
    listing = json.loads((folder / "benchmarks.json").read_text())
    return [each for name, each in listing.items() if name != "version"]


def read(folder: Path) -> Side:
    """Read asv's list and result files from a folder."""
    benchmarks = read_list(folder)
    samples: dict[Item, list[float]] = {}
    printed = folder / "errors.json"
    errors = json.loads(printed.read_text()) if printed.is_file() else {}
    for file in sorted(folder.glob("*/*.json")):
        if file.name == "machine.json":
            continue
        data = json.loads(file.read_text())
        for name, row in data["results"].items():
            result = dict(zip(data["result_columns"], row))  # noqa: B905  # asv drops trailing nulls
            samples.update(finite_samples(name, result))
    units = {each["name"]: each.get("unit", "") for each in benchmarks}
    return Side(listed(benchmarks), units, samples, errors)


def finite_samples(name: str, result: dict[str, Any]) -> dict[Item, list[float]]:
    """Return the rounds of each combination whose rounds are all finite numbers."""
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
    """Return the median of head / base over the rounds; 0 / 0 counts as 1."""
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
    """Return the verdict on all items, or on the items `chosen` for a second run.

    Parameters
    ----------
    only : str
        Regular expression of the printed names to compare.
    removed : str
        Regular expression of the printed names that were removed on purpose.
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
    """Return the last line of an error after a colon, or "" without an error."""
    lines = (text or "").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def confirm(verdict: Verdict, again: Verdict) -> None:
    """Keep only suspects that the second run suspects too, with the ratios of the second run."""
    verdict.unmeasured.update(again.unmeasured)
    cleared = [item for item in verdict.suspects if item not in again.suspects]
    verdict.cleared = {item: verdict.ratios[item] for item in cleared}
    verdict.suspects = list(again.suspects)
    verdict.ratios.update(again.ratios)


def report(verdict: Verdict, base: Side, head: Side) -> str:
    """Return the report as text, the most important block last."""

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
    lines += block("new, or without a result in base:", [f"  {name}" for name in verdict.new])
    lines += block("better:", [line(item) for item in verdict.better])
    lines += block(
        "suspected once, not again:",
        [f"{line(item)}; first {first:.3f}" for item, first in verdict.cleared.items()],
    )
    lines += block("REGRESSION, confirmed:", [line(item) for item in verdict.suspects])
    lines += block("NOT MEASURED:", [f"  {n}: {why}" for n, why in verdict.unmeasured.items()])
    return "\n".join(lines)
