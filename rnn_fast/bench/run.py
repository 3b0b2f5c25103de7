"""Start the worker, show how far it is, and collect what it finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from .peers import ONE_THREAD
from .results import Measured, Results


def measure(results: Results) -> None:
    """Measure what its settings ask for and fill in `results`, row by row.

    What there is so far is in it also if this is interrupted.

    Raises
    ------
    ChildProcessError
        The worker failed, or was killed; says why.
    """
    from tqdm import tqdm

    rows = results.settings.rows
    bar = tqdm(total=len(rows), unit="row", disable=None, leave=False)  # in a terminal alone
    with bar, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        with worker(results, said) as process:
            error = follow(process, results, bar)
            code = process.wait()
        if code or error:
            said.seek(0)
            last = error or (said.read().strip().splitlines() or [""])[-1]
            raise ChildProcessError(f"the measuring process ended with code {code}: {last}")


@contextmanager
def worker(results: Results, said: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """The running process, ended at the latest with the block; its errors go to `said`."""
    command = [sys.executable, "-m", f"{__package__}.worker", json.dumps(asdict(results.settings))]
    with subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def environment() -> dict[str, str]:
    """Ours, with the limits of threads, and so that the same package is found."""
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    return os.environ | ONE_THREAD | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def follow(process: subprocess.Popen[str], results: Results, bar: Any) -> str:
    """Take in all events; gives the error that the worker told of, or nothing."""
    error = ""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        kind = event["kind"]
        if kind == "machine":
            results.machine = event["machine"]
        elif kind == "stage":
            bar.set_postfix_str(event["text"])
        elif kind == "left out":
            results.left_out.append(event["text"])
        elif kind == "row":
            results.rows[event["name"]] = Measured.of(event["measured"])
            bar.update()
        elif kind == "error":
            error = event["text"]
    return error
