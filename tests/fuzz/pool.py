"""A few long-lived workers; the death of one is a fault of the case that it ran."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
WORKERS = int(os.environ.get("FUZZ_WORKERS", "2"))

LIFE = 400  #: cases of a worker: compiling many programs leaves 70 MB a block of seeds


class Worker:
    """A process that runs cases, started again after its death.

    script : path
        What it runs.
    """

    def __init__(self, script: Path = FOLDER / "worker.py") -> None:
        self.errors, self.script = tempfile.TemporaryFile(), script
        self.process: subprocess.Popen[str] | None = None
        self.age = 0

    def start(self) -> None:
        self.errors.seek(0)
        self.errors.truncate()
        self.age = 0
        self.process = subprocess.Popen(
            [sys.executable, str(self.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            bufsize=1,
        )

    def run(self, first: int, stop: int, only: str = "") -> Iterable[dict[str, Any]]:
        """Yield the report of each seed."""
        killed = None
        if self.age > LIFE:
            self.end()
        while first < stop:
            if self.process is None:
                self.start()
            process, began = self.process, first
            assert process is not None and process.stdin and process.stdout
            try:
                process.stdin.write(f"{first} {stop} {only}\n")
                for line in process.stdout:
                    report = json.loads(line)
                    if "done" in report:
                        return
                    began = report.get("began", began)
                    if "tally" in report:
                        first, self.age = report["seed"] + 1, self.age + 1
                        yield report
            except BrokenPipeError:
                pass
            report = self.obituary(began)
            if report["status"] == -signal.SIGKILL and began != killed:
                first = killed = began  # by the system or another program, unless it comes again
                continue
            yield report
            first = began + 1

    def obituary(self, seed: int) -> dict[str, Any]:
        """Return the report of a case whose worker died."""
        status = self.end()
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")
        kind = "hang" if "Timeout (" in text else "crash"
        report = {
            "seed": seed,
            "fault": kind,
            "status": status,
            "text": f"exit status {status}",
            "tally": {"calls": 1},
        }
        return {**report, "trace": text[-6000:]}

    def end(self) -> int | None:
        process, self.process = self.process, None
        if process is None:
            return None
        with process:  # closes its pipes and waits
            pass
        return process.returncode

    def close(self) -> None:
        self.end()
        self.errors.close()


class Result:
    """What many cases came to."""

    def __init__(self) -> None:
        self.tally: Counter[str] = Counter()
        self.faults: list[dict[str, Any]] = []
        self.seconds = 0.0

    def add(self, report: dict[str, Any]) -> None:
        self.tally.update(report["tally"])
        self.tally["cases"] += 1
        self.seconds += report.get("seconds", 0.0)
        if "fault" in report:
            self.tally[f"FAULT {report['fault']}"] += 1
            self.faults.append(report)

    def __str__(self) -> str:
        lines = [f"{n:9,}  {name}" for name, n in sorted(self.tally.items(), key=lambda i: -i[1])]
        for fault in self.faults:
            lines.append(f"seed {fault['seed']}: {fault['text'][:300]}")
        return "\n".join(lines)


def run_all(parts: list[tuple[int, int]], only: str = "", n_calls: float = float("inf")) -> Result:
    """Run parts (first, stop) of the seeds by some workers, until so many calls were made."""
    result, lock, left = Result(), threading.Lock(), iter(parts)

    def work() -> None:
        worker = Worker()
        try:
            while result.tally["calls"] < n_calls:
                with lock:
                    part = next(left, None)
                if part is None:
                    return
                for report in worker.run(*part, only):
                    with lock:
                        result.add(report)
        finally:
            worker.close()

    threads = [threading.Thread(target=work) for _ in range(min(WORKERS, len(parts)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return result
