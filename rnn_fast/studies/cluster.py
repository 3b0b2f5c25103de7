"""Studies on a Dask cluster, whose workers train runs in chunks."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from .._optional import extra
from ..engine import threads
from ..jit import loaded_code
from ..validation import shown
from .crew import POLL, Result, in_turn
from .plan import Run
from .programs import prepare, trials_of
from .sources import Sources
from .store import machine
from .work import FAILED, Outcome
from .worker import Data, check_alike, code_for, identity, train_chunk

CHUNK = 1.0  #: estimated seconds of the runs of a task, at least: a task costs some milliseconds
#: tasks of each thread, at least, though they be shorter: estimates were seen 5 times too low
SHARES = 8
LOSSES = 3  #: how often in a row all workers may be lost


class Workers(NamedTuple):
    """The workers of a cluster."""

    client: Any
    n_threads: int
    identity: dict[str, str]


def workers_of(client: Any) -> Workers:
    """Return the workers of a Dask cluster, which are alike.

    Raises
    ------
    TypeError
        `client` is no client of Dask, or an asynchronous one.
    ValueError
        There are no workers, or they differ in processor or versions, or have another rnn_fast.
    ImportError
        Dask is not installed.
    """
    if not isinstance(client, extra("distributed", "dask").Client) or client.asynchronous:
        raise TypeError(
            f"client must be a distributed.Client that is not asynchronous; got {shown(client)}"
        )
    found = client.run(identity)
    if not found:
        raise ValueError("client has no workers yet; client.wait_for_workers(1) waits for one")
    check_alike(found, found[min(found)])
    first, here = found[min(found)], identity()
    code = ("rnn_fast", "sources")
    check_alike({"this process": {**first, **{k: here[k] for k in code}}, **found}, code)
    return Workers(client, sum(client.nthreads().values()), first)


class DaskCrew:
    """The workers of a cluster for some runs, in a ``with`` block; otherwise like `Crew`.

    Parameters
    ----------
    runs : sequence of Run
    sources : Sources
    workers : Workers

    Attributes
    ----------
    began : dict of str to (Run, float)
        Runs that are probably being trained, and since when, by id.
    about : str
        Versions and processor that results are of.
    tells : callable
        As of `Crew`.
    """

    tells: Callable[[int], None] = staticmethod(lambda n: None)

    def __init__(self, runs: Sequence[Run], sources: Sources, workers: Workers) -> None:
        self._runs, self._sources, self._workers = runs, sources, workers
        self._client = workers.client
        self._sent: list[Any] = []  # futures of the data and the programs
        self._chunks: dict[Any, list[Run]] = {}  # by their futures, in the order of their training
        self._results: list[Result] = []
        self._failure: BaseException | None = None
        self._n_losses = self._place = 0
        self.began: dict[str, tuple[Run, float]] = {}
        self.about = json.dumps({name: workers.identity[name] for name in json.loads(machine())})

    def __enter__(self) -> DaskCrew:
        try:
            if self._runs:
                self._send()
            for chunk in chunks_of(self._runs, self._workers.n_threads):
                self._submit(chunk)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all trainings after their compiled calls, keep results that are there."""
        with contextlib.suppress(Exception):  # the cluster may be gone
            self._gather()
            self._client.cancel(list(self._chunks))
        self._chunks.clear()
        self._sent.clear()

    def results(self) -> Iterator[list[Result]]:
        """Yield results in groups, every `POLL` seconds one, perhaps empty, until the end.

        Raises
        ------
        Exception
            The cluster is gone, or a worker cannot read the data or is unlike the others.
        """
        while self._chunks:
            time.sleep(POLL)
            yield self.ready()

    def ready(self) -> list[Result]:
        """Return the results that are there, and submit again what was lost."""
        if self._failure is not None:
            raise self._failure
        self._gather()
        for future in [future for future in self._chunks if future.done()]:
            if future.status != "finished" and self._failure is None:
                self._mend(future)
        for chunk in list(self._chunks.values())[: self._workers.n_threads]:
            self.began.setdefault(chunk[0].id, (chunk[0], time.perf_counter()))
        results, self._results = self._results, []
        return results

    def _gather(self) -> None:
        """Fetch the results of all chunks that are done."""
        done = [future for future in self._chunks if future.status == "finished"]
        results = self._client.gather(done) if done else []
        for future, outcomes in zip(done, results, strict=True):
            for run, outcome in zip(self._chunks.pop(future), outcomes, strict=True):
                self._results.append((run, outcome, None))
                self.began.pop(run.id, None)
            self._n_losses = 0

    def _mend(self, future: Any) -> None:
        """Submit a chunk again that was lost, or note the error that ends the study."""
        chunk = self._chunks.pop(future)
        if future.status == "cancelled":  # all workers that had the data are lost
            if any(sent.status != "finished" for sent in self._sent):
                self._n_losses += 1
                if self._n_losses > LOSSES:
                    text = f"all workers were lost {self._n_losses} times, and no run was done"
                    self._failure = RuntimeError(text)
                    return
                self._send()
            self._submit(chunk)
            return
        error = future.exception()
        if not isinstance(error, extra("distributed", "dask").KilledWorker):
            self._failure = error
        elif len(chunk) > 1:
            for run in chunk:
                self._submit([run])
        else:
            outcome = Outcome(chunk[0].id, FAILED, f"KilledWorker: {error}")
            self._results.append((chunk[0], outcome, error))

    def _send(self) -> None:
        """Send data and programs to all workers."""
        trials = trials_of(self._runs, self._sources)
        if is_alike := self._workers.identity == identity():
            prepare(trials, self._sources, threads.available(), self.tells)
        data = self._scatter(Data(self._sources))
        if is_alike:
            code = self._scatter(loaded_code())
        else:
            code = self._client.submit(code_for, data, trials, pure=False)
        self._sent = [data, code]

    def _scatter(self, value: Any) -> Any:
        """Send a value to each worker; return its future."""
        [future] = self._client.scatter([value], broadcast=True, hash=False)
        return future

    def _submit(self, chunk: list[Run]) -> None:
        """Let some worker train a chunk, after those submitted before."""
        self._place += 1
        future = self._client.submit(
            train_chunk,
            *self._sent,
            self._workers.identity,
            chunk,
            pure=False,
            priority=-self._place,
        )
        self._chunks[future] = chunk


def chunks_of(runs: Sequence[Run], n_threads: int) -> Iterator[list[Run]]:
    """Yield runs in the order of their training, in lists of at least `CHUNK` seconds.

    Where that gives less than `SHARES` lists for each of `n_threads`, they are shorter.  A run that
    takes that long is alone.
    """
    least = min(CHUNK, sum(run.cost for run in runs) / (SHARES * n_threads))
    chunk: list[Run] = []
    for run in in_turn(runs):
        if run.cost >= least:
            yield [run]
            continue
        chunk.append(run)
        if sum(each.cost for each in chunk) >= least:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
