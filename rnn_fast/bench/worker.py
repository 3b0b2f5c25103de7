"""The process that measures: ``python -m rnn_fast.bench.worker SETTINGS``.

It is started by `run` with one thread's limits in its environment, pins itself to one core, and
tells what it does and finds as lines of JSON on standard output. Whatever libraries print goes to
standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from dataclasses import asdict
from functools import partial
from time import perf_counter
from types import ModuleType
from typing import Any, TextIO

from .machine import machine
from .peers import PEERS
from .results import Settings
from .rows import PEERED

STARTED = perf_counter()
QUICK_SECONDS = 58  # for `--quick`: a row that would take as long as the last must end by then


class Channel:
    """Where events go, one line each."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        print(json.dumps({"kind": kind, **fields}), file=self.file, flush=True)


def own_output() -> TextIO:
    """Standard output for events alone; what others print there goes to standard error."""
    file = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return file


def import_peers(settings: Settings) -> tuple[dict[str, ModuleType], list[str]]:
    """The peers that are installed, and what is to be said of the others."""
    wanted = {} if settings.subject == "threads" else {"PyTorch": PEERS["PyTorch"]}
    if settings.subject in PEERED:
        wanted = PEERS
    found, missing, broken = {}, [], []
    for family, module in wanted.items():
        if settings.quick and family == "Keras":
            continue
        try:
            found[family] = importlib.import_module(f".peers.{module}", __package__)
        except ModuleNotFoundError:
            missing.append(family)
        except Exception as error:  # an installation may be broken in any way
            broken.append(f"{family}, which cannot be imported: {error}")
    if missing:
        install = "not installed; `pip install 'rnn_fast[peers]'` brings them"
        broken.insert(0, f"{', '.join(missing)} ({install})")
    return found, broken


def work(settings: Settings, channel: Channel) -> None:
    """Measure row by row."""
    channel.send("machine", machine=machine())
    channel.send("stage", text="importing the peers")
    peers, left_out = import_peers(settings) if settings.peers else ({}, [])
    for text in left_out:
        channel.send("left out", text=text)
    module = "steps" if settings.subject in PEERED else settings.subject
    subject = importlib.import_module(f".{module}", __package__)
    begun, last = perf_counter(), 0.0
    for name in settings.rows:
        if settings.quick and last and begun + last > STARTED + QUICK_SECONDS:
            break
        measured = subject.measure(name, settings, peers, partial(stage, channel, name))
        channel.send("row", name=name, measured=asdict(measured))
        begun, last = perf_counter(), perf_counter() - begun
        if "JAX" in peers:
            peers["JAX"].forget()


def stage(channel: Channel, row: str, text: str) -> None:
    """Tell what a row is at."""
    channel.send("stage", text=f"{row}: {text}")


def main() -> int:
    """Measure what the command line asks for; gives the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for `run`, which ends this process
    channel = Channel(own_output())
    settings = Settings(**json.loads(sys.argv[1]))
    if settings.subject != "threads" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before JAX counts its cores
    try:
        work(settings, channel)
    except Exception as error:
        channel.send("error", text=f"{type(error).__name__}: {error}")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
