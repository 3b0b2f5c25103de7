"""The process that measures: ``python -m rnn_fast.bench.worker SETTINGS``.

`run` starts it with one-thread limits in its environment, and the process pins itself to one core.
Progress and results go to standard output as lines of JSON. The output of libraries goes to
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
from .peers import PEERS, TAKE_PART
from .results import Settings
from .rows import TRAINED

STARTED = perf_counter()
QUICK_SECONDS = 58  # `--quick` skips a row that would end later, if it took as long as the last


class Channel:
    """A file that takes events, one line each."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def send(self, kind: str, **fields: Any) -> None:
        """Write an event as one line of JSON."""
        print(json.dumps({"kind": kind, **fields}), file=self.file, flush=True)


def own_output() -> TextIO:
    """Return standard output for events, and redirect all other output to standard error."""
    file = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return file


def import_peers(settings: Settings) -> tuple[dict[str, ModuleType], list[str]]:
    """Return the installed peers, and a note on each missing or broken peer."""
    found, missing, broken = {}, [], []
    for family in TAKE_PART[settings.subject]:
        if settings.quick and family == "Keras":
            continue
        try:
            found[family] = importlib.import_module(f".peers.{PEERS[family]}", __package__)
        except ModuleNotFoundError:
            missing.append(family)
        except Exception as error:  # an installation may be broken in any way
            broken.append(f"{family}, which cannot be imported: {error}")
    if missing:
        install = "not installed; `pip install 'rnn_fast[peers]'` brings them"
        broken.insert(0, f"{', '.join(missing)} ({install})")
    return found, broken


def work(settings: Settings, channel: Channel) -> None:
    """Measure all rows, and send each row as soon as it is measured."""
    channel.send("machine", machine=machine())
    channel.send("stage", text="importing the peers")
    peers, left_out = import_peers(settings) if settings.peers else ({}, [])
    for text in left_out:
        channel.send("left out", text=text)
    module = "steps" if settings.subject in TRAINED else settings.subject
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
    """Send the current stage of a row."""
    channel.send("stage", text=f"{row}: {text}")


def main() -> int:
    """Measure the settings on the command line, and return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # `run` handles Ctrl-C and ends this process
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
