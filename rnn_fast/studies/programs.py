"""Programs that a study needs, compiled before it starts, several at once, in processes.

Numba compiles one program at a time in a process, some seconds each, and no signal ends it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..jit import NotCompiled, cached_only
from ..jit.program import LOADED
from .plain import text_of
from .plan import Run
from .sources import Sources
from .work import train

EPOCHS = 3  #: of a trial: the first alone, and the others in one compiled call
CHILD = """
import json, sys
job = json.load(sys.stdin)
sys.path[:] = job["path"]
from rnn_fast.jit import compile_ordered
for order in job["orders"]:
    compile_ordered(order)
"""


def trials_of(runs: Iterable[Run], sources: Sources) -> list[Run]:
    """Return short runs that need the same programs as some runs, from data that were checked."""
    return [trial(run, sources) for run in {needs_of(run): run for run in runs}.values()]


def prepare(
    trials: Sequence[Run],
    sources: Sources,
    n_jobs: int,
    tells: Callable[[int], None] = lambda n: None,
) -> None:
    """Load the programs that trials need; have those compiled that are not on disk.

    A program that no process could compile is left to the first training that needs it.

    tells : callable
        Called with the number of programs before they are compiled.
    """
    ordered: set[str] = set()
    while True:
        wanted: dict[str, Any] = {}
        trials = [run for run in trials if not _passes(run, sources, wanted)]
        orders = [order for text, order in wanted.items() if text not in ordered]
        if orders:
            ordered |= wanted.keys()
            tells(len(orders))
            compile_in_processes(orders, n_jobs)
        elif wanted or not trials:
            return


def _passes(run: Run, sources: Sources, wanted: dict[str, Any]) -> bool:
    """Return whether all programs of a run were loaded; add one that is not on disk to `wanted`.

    A run that loads programs is slow, and so may not get to the one of many epochs.
    """
    n_loaded = len(LOADED)
    with cached_only():
        _, error = train(run, sources)
    if isinstance(error, NotCompiled):
        wanted[text_of(error.order)] = error.order
        return False
    return len(LOADED) == n_loaded


def needs_of(run: Run) -> str:
    """Return a text that is equal for runs that need the same programs."""
    model = {k: v for k, v in run.model.items() if k not in ("seed", "learning_rate")}
    parts, config = (run.train, run.validation, run.test), run.config
    sizes = [None if part is None else len(part) for part in parts]
    own = [run.cell, config.optimizer.name, config.batch_size, config.bptt, config.validation_split]
    own.append(min(config.epochs, EPOCHS))
    return f"{sorted(model.items())}{sizes}{own}{run.data!r}{run.class_weight is None}"


def trial(run: Run, sources: Sources) -> Run:
    """Return a short run whose epochs are of a single batch, which has the longest sequences."""
    config = replace(run.config, epochs=min(run.config.epochs, EPOCHS))
    if config.validation_split or config.batch_size is None:
        return run._replace(config=config)
    train = np.arange(sources.sizes[run.data]) if run.train is None else run.train
    lengths = sources.lengths(run.data)[train]
    longest = np.argsort(-lengths, kind="stable")[: config.batch_size]
    return run._replace(config=config, train=np.sort(train[longest]))


def compile_in_processes(orders: Sequence[dict[str, Any]], n_jobs: int) -> None:
    """Compile programs, in up to `n_jobs` processes at once."""
    if not sys.executable:
        return
    children: list[subprocess.Popen[bytes]] = []
    try:
        for k in range(min(n_jobs, len(orders))):
            job = {"path": sys.path, "orders": orders[k::n_jobs]}
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            children.append(child)
            assert child.stdin is not None
            with child.stdin:
                child.stdin.write(json.dumps(job).encode())
        for child in children:
            child.wait()
    finally:
        for child in children:
            child.kill()
            child.wait()
