"""Packs of all programs of a level, compiled by several processes."""

from __future__ import annotations

import multiprocessing
import os
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..jit.cache import versions
from ..jit.levels import LEVELS
from ..jit.packs import write_pack
from ..jit.shipped import PROBE_GROUP, probe
from ..jit.sources import imported
from .reachable import groups

#: a stream of groups by name, as `write_pack` takes it
Streams = dict[str, dict[str, bytes]]


def build_pack(
    level: str,
    folder: Path,
    *,
    jobs: int,
    bar: Any = None,
    chosen: Callable[[str], bool] = lambda name: True,
) -> Path:
    """Compile all programs for a level, and write its pack; return its file.

    Parameters
    ----------
    level : str
        A name of `LEVELS`; it need not be this machine's.
    folder : Path
        Made if need be.
    jobs : int
        Processes.  A group of 14 programs takes one of them 15 s.
    bar : tqdm or None
        Shows the progress.
    chosen : callable
        Whether to compile the group of a name, for a sample.

    Raises
    ------
    OSError
        The pack cannot be written.
    """
    streams: Streams = {}
    if LEVELS[level].target.triple.startswith("x86_64"):
        streams[PROBE_GROUP] = {PROBE_GROUP: probe(level).packed()}
    with _made_for(level), _pool(jobs) as pool:
        names = list(filter(chosen, pool.submit(_names).result()))
        if bar is not None:
            bar.reset(len(names))
        for stream, name, code in pool.map(_compiled, names):
            streams.setdefault(stream, {})[name] = code
            if bar is not None:
                bar.update()
    manifest = {
        "level": level,
        "sources": imported(),
        "versions": {"python": platform.python_version(), **versions()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{level}.pack"
    write_pack(path, manifest, streams.values())
    return path


@contextmanager
def _made_for(level: str) -> Iterator[None]:
    """Let processes that start in a ``with`` block make code for a level."""
    before = os.environ.get("RNN_FAST_TARGET")
    os.environ["RNN_FAST_TARGET"] = level
    try:
        yield
    finally:
        if before is None:
            del os.environ["RNN_FAST_TARGET"]
        else:
            os.environ["RNN_FAST_TARGET"] = before


def _pool(jobs: int) -> Any:
    """Return processes that share nothing with this one, which has a level of its own."""
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))


def _names() -> list[str]:
    return [group.name for group in groups()]


def _compiled(name: str) -> tuple[str, str, bytes]:
    """Return stream, name and code of a group."""
    group = next(group for group in groups() if group.name == name)
    return group.stream, group.name, group.code()
