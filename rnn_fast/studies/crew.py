"""Threads that train runs, each a run at a time, the costliest first."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter

from ..data.prefetch import start
from ..engine import threads
from .plan import Run, like
from .programs import prepare, trials_of
from .sources import Sources
from .store import machine
from .work import Outcome, train

Result = tuple[Run, Outcome, Exception | None]
POLL = 0.25  #: seconds between groups of results: to write one takes 0.8 ms of processor time

#: runs of each cost that are trained first.  Simulated from 200 runs of GRUs of 1 to 20 units that
#: stop early, at two rates: the forecast at half time is off by 5 % (rms); of 1: by 8 %
SAMPLES = 3


class Stopped(BaseException):
    """A training that its study has stopped."""


class Crew:
    """Up to `n_jobs` threads for some runs, in a ``with`` block, at whose end the threads end.

    Parameters
    ----------
    runs : sequence of Run
    sources : Sources
    n_jobs : int

    Attributes
    ----------
    about : str
        Versions and processor that results are of.
    began : dict of str to (Run, float)
        Runs that are being trained, and when they began, by id.
    tells : callable
        Called with the number of programs before they are compiled.
    """

    tells: Callable[[int], None] = staticmethod(lambda n: None)

    def __init__(self, runs: Sequence[Run], sources: Sources, n_jobs: int) -> None:
        self._runs, self._sources, self._n_jobs = runs, sources, n_jobs
        self._waiting, self.about = deque(in_turn(runs)), machine()
        self._results: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()
        self._ends: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stops, self.began = False, dict[str, tuple[Run, float]]()
        self._has_all_cores = n_jobs >= threads.available()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Crew:
        trials = trials_of(self._runs, self._sources)
        prepare(trials, self._sources, self._n_jobs, self.tells)
        try:
            for _ in range(min(self._n_jobs, len(self._waiting))):
                thread = threading.Thread(target=self._serve, name="rnn_fast study", daemon=True)
                start(thread)
                self._threads.append(thread)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all trainings after their compiled calls, and end the threads."""
        self._stops = True
        for thread in self._threads:
            thread.join()

    def results(self) -> Iterator[list[Result]]:
        """Yield results in groups, every `POLL` seconds one, perhaps empty, until the end.

        Raises
        ------
        BaseException
            A thread could not go on.
        """
        left = len(self._threads)
        while left:
            with contextlib.suppress(queue.Empty):
                self._ends.get(timeout=POLL)
                left -= 1
            yield self.ready()

    def ready(self) -> list[Result]:
        """Return the results that are there."""
        group: list[Result] = []
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._results.get_nowait()
                if isinstance(item, BaseException):
                    raise item
                group.append(item)
        return group

    def _serve(self) -> None:
        """Train one run after the other."""
        try:
            while not self._stops:
                try:
                    run = self._waiting.popleft()
                except IndexError:
                    break
                self.began[run.id] = run, perf_counter()
                outcome, error = train(run, self._sources, self._team(), self._look)
                del self.began[run.id]
                self._results.put((run, outcome, error))
        except Stopped:
            pass
        except BaseException as error:
            self._results.put(error)
        finally:
            self._ends.put(None)

    def _team(self) -> int:
        """Return the threads of the next training: more than one when runs become few.

        A training takes the cores that are free at each of its compiled calls.
        """
        left = len(self._waiting) + len(self.began)
        if left > self._n_jobs:
            return 1
        return self._n_jobs if self._has_all_cores else max(1, self._n_jobs // left)

    def _look(self) -> None:
        if self._stops:
            raise Stopped


def in_turn(runs: Iterable[Run]) -> list[Run]:
    """Return runs in the order of their training.

    The costliest come first, so that the last ones are short.  Before them come `SAMPLES` of each
    cost, from which the end of the study can be told.  Those of the same cost come in the order of
    their ids, which is random: rows in order would show short trainings before long ones.
    """
    samples, others, seen = list[Run](), list[Run](), Counter[str]()
    for run in sorted(runs, key=lambda run: (-float(like(run)), run.id)):
        seen[like(run)] += 1
        (samples if seen[like(run)] <= SAMPLES else others).append(run)
    return samples + others
