"""Work of the workers of a Dask cluster for a study: runs in, bytes out."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..engine import threads
from ..jit import loaded_code, receive, target
from ..jit.cache import settings
from ..jit.sources import imported
from .crew import Stopped
from .plain import digest_of
from .plan import Run
from .programs import prepare
from .sources import Sources
from .store import machine
from .work import Outcome, train

OPENING = threading.Lock()


@functools.cache
def identity() -> dict[str, str]:
    """Return all that decides the bits of a training, and what code this machine runs."""
    return {
        **json.loads(machine()),
        "features": digest_of(target().features.encode()),
        "sources": imported()[:16],
        "settings of Numba": json.dumps(settings(), sort_keys=True),
    }


def check_alike(found: Mapping[str, dict[str, str]], names: Iterable[str]) -> None:
    """Raise ValueError if identities differ, by the names of their owners."""
    told = []
    for name in names:
        owners: dict[str, list[str]] = {}
        for owner, own in sorted(found.items()):
            owners.setdefault(own[name], []).append(owner)
        if len(owners) > 1:
            each = [f"{value} on {_some(who)}" for value, who in owners.items()]
            told.append(f"{name} is {' and '.join(each)}")
    if told:
        raise ValueError(
            f"all workers of a study must be alike, or its models would differ; {'; '.join(told)}"
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


class Data:
    """The data of a study on the way to a worker, which makes them `Sources` once.

    Parameters
    ----------
    sources : Sources
    """

    def __init__(self, sources: Sources) -> None:
        self._arguments = sources.arguments()
        self._fingerprint = sources.fingerprint() if sources.has_paths else None
        self._sources: Sources | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_sources": None}

    def sources(self) -> Sources:
        """Return the data.

        Raises
        ------
        OSError, ValueError
            A file cannot be read here, or holds other numbers.
        """
        with OPENING:
            if self._sources is None:
                sources = Sources(**self._arguments)
                if self._fingerprint not in (None, own := sources.fingerprint()):
                    differs = [k for k, v in own.items() if self._fingerprint[k] != v]
                    raise ValueError(
                        f"{', '.join(differs)}: a worker read other numbers than the client; give "
                        "arrays instead of paths, or paths on a disk that all machines share"
                    )
                self._sources = sources
            return self._sources


def train_chunk(
    data: Data, code: dict[str, bytes], expected: dict[str, str], runs: Sequence[Run]
) -> list[Outcome]:
    """Train runs in a worker, one after the other; return their results."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    check_alike({"the first workers": expected, worker.address: identity()}, expected)
    receive(code)

    def look() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Stopped

    outcomes = []
    with contextlib.suppress(Stopped):
        for run in runs:
            outcomes.append(train(run, data.sources(), between=look)[0])
            look()
    return outcomes


def code_for(data: Data, trials: Sequence[Run]) -> dict[str, bytes]:
    """Return the object code that trials need, compiled by this worker where it is missing."""
    prepare(trials, data.sources(), threads.bound_cores())
    return loaded_code()
