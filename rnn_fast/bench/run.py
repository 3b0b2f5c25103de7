"""Start the worker, show its progress, and collect its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from .peers import ONE_THREAD
from .results import Measured, Results


def measure(results: Results, keep: Callable[[Results], None] | None = None) -> None:
    """Measure all rows of the settings, and fill in `results` row by row.

    `keep` is called with the results after each row. An interrupt leaves the finished rows in
    `results`.

    Raises
    ------
    ChildProcessError
        If the worker failed or was killed. The message names the reason.
    """
    from tqdm import tqdm

    rows = results.settings.rows
    bar = tqdm(total=len(rows), unit="row", disable=None, leave=False)  # None: terminals only
    with bar, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        with worker(results, said) as process:
            error = ""
            for event in events(process):
                error = take(event, results, bar) or error
                if keep and event["kind"] == "row":
                    keep(results)
            code = process.wait()
        if code or error:
            said.seek(0)
            last = error or (said.read().strip().splitlines() or [""])[-1]
            raise ChildProcessError(f"the measuring process ended with code {code}: {last}")


@contextmanager
def worker(results: Results, said: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """Start the worker, and kill it when the block ends; its standard error goes to `said`."""
    command = [sys.executable, "-m", f"{__package__}.worker", json.dumps(asdict(results.settings))]
    with subprocess.Popen(
        command,
        env=environment(results.settings.subject),
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


def environment(subject: str) -> dict[str, str]:
    """Return this process's environment with thread limits, and with this package on the path."""
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    limits = {} if subject == "threads" else ONE_THREAD
    return os.environ | limits | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Yield the events that the worker sends."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def take(event: dict[str, Any], results: Results, bar: Any) -> str:
    """Enter an event into the results or the bar; return the message of an error event, or ""."""
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
    return event["text"] if kind == "error" else ""
