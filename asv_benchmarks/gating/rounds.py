"""Measure base and head in turn, and write result files in asv's format.

Each benchmark runs in one process, as in asv.  Each side has its fork server, from asv.  The two
processes of a benchmark take turns of milliseconds on the core that is least busy.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from asv import runner, util
from asv.results import Results

from .sides import HERE, Side
from .verdict import Item

#: rounds of each unit of time; other units are exact, so one round on a busy core is enough
ROUNDS = {"tile-1": 2, "times as long": 2, "import numpy": 1, "import numpy, once": 1}
MACHINE = "gate"


def load(path: Path) -> ModuleType:
    """Load a module by its file, because its package would bind this process to a core."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cores = load(HERE / "benchmarks" / "cores.py")


class Log:
    """Values of one side, measured so far."""

    def __init__(self, side: Side, benchmarks: list[dict[str, Any]]):
        self.side = side
        self.benchmarks = {each["name"]: each for each in benchmarks}
        self.samples: dict[Item, list[float | None]] = {}
        self.errors: dict[str, str] = {}

    def add(self, item: Item, value: Any, error: str) -> None:
        """Add a round of an item; any value except a finite number is a failure."""
        sound = isinstance(value, (int, float)) and math.isfinite(value)
        self.samples.setdefault(item, []).append(float(value) if sound else None)
        if not sound:
            self.errors[item[0]] = error or f"gave {value!r}"

    def failed(self, item: Item) -> bool:
        """Return True if a round of the item has failed, so that more rounds are useless."""
        return None in self.samples.get(item, ())

    def write(self, folder: Path, own: list[dict[str, Any]]) -> None:
        """Write asv's list and result file, and the output of failed benchmarks.

        own : list
            Benchmarks in the tree of this side.
        """
        side = self.side
        folder.mkdir(parents=True, exist_ok=True)
        listing = {each["name"]: each for each in own}
        util.write_json(str(folder / "benchmarks.json"), listing, api_version=2)
        results = Results(
            {"machine": MACHINE, "python": side.environment.python},
            side.environment.requirements,
            side.key,
            round(time.time() * 1000),
            side.environment.python,
            side.environment.name,
            side.environment.env_vars,
        )
        for name in dict.fromkeys(name for name, _ in self.samples):
            results.add_result(self.benchmarks[name], self._result(name), record_samples=True)
        results.save(str(folder))
        (folder / "errors.json").write_text(json.dumps(self.errors))

    def _result(self, name: str) -> runner.BenchmarkResult:
        n = math.prod(len(values) for values in self.benchmarks[name]["params"])
        rounds = [self.samples.get((name, i)) for i in range(n)]
        sound = [own if own and None not in own else None for own in rounds]
        return runner.BenchmarkResult(
            result=[own and True for own in sound],  # asv puts the median there
            samples=sound,
            number=[own and 1 for own in sound],
            errcode=int(None in sound),
            stderr=self.errors.get(name, ""),
            profile=None,
        )


@contextlib.contextmanager
def server(side: Side, benchmarks: Path) -> Iterator[runner.ForkServer]:
    """Run asv's fork server for a side, with the suite imported."""
    spawner = runner.get_spawner(side, str(benchmarks), "forkserver")
    try:
        spawner.preimport()  # `discover` has checked that the import works
        yield spawner
    finally:
        spawner.close()


class Caches:
    """Folders with the results of `setup_cache`, by side and asv's key."""

    def __init__(self) -> None:
        self.folders: dict[tuple[str, str], tuple[str | None, str]] = {}
        self.locks: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

    def get(
        self, side: Side, spawner: runner.ForkServer, benchmark: dict[str, Any]
    ) -> tuple[str | None, str]:
        """Return (folder, error) for a benchmark."""
        if benchmark.get("setup_cache_key") is None:
            return None, ""
        key = side.name, benchmark["setup_cache_key"]
        with self.locks[key]:
            if key not in self.folders:
                timeout = benchmark.get("setup_cache_timeout", 180)
                folder, error = spawner.create_setup_cache(benchmark["name"], timeout, "{}")
                self.folders[key] = folder, error or ""
            return self.folders[key]

    def close(self) -> None:
        """Remove the folders."""
        for folder, _ in self.folders.values():
            if folder:
                util.long_path_rmtree(folder, True)


def run_once(
    side: Side, spawner: runner.ForkServer, caches: Caches, benchmark: dict[str, Any], i: int
) -> tuple[Any, str]:
    """Return (value, error output) of one combination of parameters."""
    cwd, error = caches.get(side, spawner, benchmark)
    if error:
        return None, error
    result = runner.run_benchmark(
        {"timeout": 60, **benchmark}, spawner, profile=False, selected_idx={i}, cwd=cwd
    )
    error = result.stderr
    if result.errcode == util.TIMEOUT_RETCODE:
        error += f"\nout of time, {benchmark.get('timeout', 60)} s"
    elif result.errcode < 0:
        error += f"\nkilled by signal {-result.errcode}"
    return result.result[i], error


class Rounds:
    """Both sides, measured with the benchmarks of head.

    Parameters
    ----------
    base, head : Side
        Sides to compare.
    benchmarks : list of dict
        asv's list of the benchmarks in head.
    """

    def __init__(self, base: Side, head: Side, benchmarks: list[dict[str, Any]]):
        self.sides, self.folder = (base, head), head.benchmarks
        self.by_name = {each["name"]: each for each in benchmarks}
        self.benchmarks = benchmarks
        self.reset()

    def reset(self) -> None:
        """Forget all values measured so far."""
        self.logs = tuple(Log(side, self.benchmarks) for side in self.sides)

    def rounds_of(self, item: Item) -> int:
        """Return the number of timed rounds of an item; 0 if the item is exact."""
        return ROUNDS.get(self.by_name[item[0]].get("unit", ""), 0)

    def prepare(self, items: list[Item]) -> None:
        """Compile the programs of timed items, and measure exact items, on up to four cores."""
        if not items:
            return
        work: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
        for s in (1, 0):  # base after head: if the sources are equal, base reuses head's programs
            for item in sorted(items, key=self.rounds_of):  # exact items, with caches, first
                work.put((s, item))
        total, lock, caches = work.qsize(), threading.Lock(), Caches()

        base_side, head_side = (side.preparing() for side in self.sides)

        def work_off() -> None:
            with server(base_side, self.folder) as base, server(head_side, self.folder) as head:
                while True:
                    try:
                        s, item = work.get_nowait()
                    except queue.Empty:
                        return
                    benchmark = self.by_name[item[0]]
                    outcome = run_once(self.sides[s], (base, head)[s], caches, benchmark, item[1])
                    with lock:
                        say(f"prepare {total - work.qsize()}/{total} {item[0]}")
                        if not self.rounds_of(item) or outcome[0] is None:
                            self.logs[s].add(item, *outcome)

        workers = min(4, os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            try:
                for done in [pool.submit(work_off) for _ in range(workers)]:
                    done.result()
            except BaseException:  # after a failure or Ctrl-C, stop the other workers
                with contextlib.suppress(queue.Empty):
                    while True:
                        work.get_nowait()
                raise
        caches.close()

    def measure(self, items: list[Item], more: int = 0) -> None:
        """Measure all rounds of timed items, and `more` rounds; the sides take turns (`turns`)."""
        timed = [item for item in items if self.rounds_of(item)]
        caches, chosen = Caches(), 0.0
        with tempfile.TemporaryDirectory(prefix="rnn-") as room:  # a socket's name must be short
            meeting = Path(room) / "pair"
            sides = [side.taking_turns(meeting) for side in self.sides]
            with server(sides[0], self.folder) as base, server(sides[1], self.folder) as head:
                for k, item in enumerate(timed):
                    say(f"measure {k + 1}/{len(timed)} {item[0]}")
                    if time.monotonic() > chosen + 3:
                        self._bind((base, head))
                        chosen = time.monotonic()
                    for _ in range(self.rounds_of(item) + more):
                        self._round(item, sides, (base, head), caches, meeting)
        caches.close()

    def _round(
        self,
        item: Item,
        sides: list[Side],
        spawners: tuple[runner.ForkServer, runner.ForkServer],
        caches: Caches,
        meeting: Path,
    ) -> None:
        """Measure a round of an item on each side where the item has not failed."""
        running = [s for s in (0, 1) if not self.logs[s].failed(item)]
        benchmark = self.by_name[item[0]]

        def run(s: int) -> tuple[Any, str]:
            return run_once(sides[s], spawners[s], caches, benchmark, item[1])

        if len(running) == 2:
            meeting.mkdir()
        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(run, running))
        shutil.rmtree(meeting, ignore_errors=True)
        for s, outcome in zip(running, outcomes, strict=True):
            self.logs[s].add(item, *outcome)

    @staticmethod
    def _bind(spawners: tuple[runner.ForkServer, runner.ForkServer]) -> None:
        """Bind both sides to the core that is least busy now."""
        if hasattr(os, "sched_setaffinity"):
            core = cores.idlest()
            for spawner in spawners:
                os.sched_setaffinity(spawner.server_proc.pid, {core})

    def write(self, folder: Path, own: list[dict[str, Any]]) -> tuple[Path, Path]:
        """Write the files of both sides; `own` lists the benchmarks in base's tree."""
        places = folder / "base", folder / "head"
        for log, place, listing in zip(self.logs, places, (own, self.benchmarks), strict=True):
            log.write(place, listing)
        return places


def say(text: str) -> None:
    """Show progress: in place on a terminal, else a line every 20 seconds."""
    global _last
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text[:100]}")
    elif time.monotonic() > _last + 20:
        sys.stderr.write(text + "\n")
        _last = time.monotonic()
    sys.stderr.flush()


_last = -math.inf
