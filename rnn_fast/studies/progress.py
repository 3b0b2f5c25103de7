"""Progress of a study, shown while it runs."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from ..training.progress import STDERR
from .crew import Result
from .plan import Run, like
from .work import DONE

EVERY = 0.2  #: seconds between two drawings of a bar
Began = Mapping[str, tuple[Run, float]]  #: runs that are being trained, and when they began, by id


class Forecast:
    """The time that runs will take, from the runs before.

    Runs of about the same estimated cost take about the same time; until one of them has ended, the
    estimate is scaled by the time that others took.

    Parameters
    ----------
    runs : sequence of Run
    n_jobs : int
    """

    def __init__(self, runs: Sequence[Run], n_jobs: int) -> None:
        self._n_jobs = n_jobs
        self._left = Counter(like(run) for run in runs)
        self._costs = {like(run): run.cost for run in runs}
        self._taken: dict[str, tuple[int, float]] = {}
        self._cost = self._seconds = 0.0

    def saw(self, run: Run, seconds: float) -> None:
        """Take note of the time of a run."""
        self._left[like(run)] -= 1
        n, before = self._taken.get(like(run), (0, 0.0))
        self._taken[like(run)] = n + 1, before + seconds
        self._cost, self._seconds = self._cost + run.cost, self._seconds + seconds

    def expected(self, kind: str) -> float:
        """Return the seconds that a run is expected to take."""
        n, seconds = self._taken.get(kind, (0, 0.0))
        return seconds / n if n else self._costs[kind] * self._seconds / self._cost

    def seconds(self, began: Began) -> float:
        """Return the seconds that are left; NaN before the first run has ended."""
        if not self._cost:
            return math.nan
        waiting = self._left - Counter(like(run) for run, _ in began.values())
        longest = max(map(self.expected, waiting), default=0.0)
        total = sum(n * self.expected(kind) for kind, n in waiting.items())
        for run, start in began.values():
            expected = self.expected(like(run))
            left = max(expected - (perf_counter() - start), 0.1 * expected)
            total, longest = total + left, max(longest, left)
        return max(total / self._n_jobs, longest)


class Progress:
    """A display that shows nothing; the others have the same methods."""

    def __init__(self, runs: Sequence[Run], n: int, n_jobs: int) -> None:
        self.n, self.past = n, n - len(runs)
        self.done, self.failed, self.epochs, self.best = self.past, 0, 0, math.inf
        self.measure, self.began = "train_loss", perf_counter()
        self.forecast = Forecast(runs, n_jobs)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, results: Sequence[Result], began: Began) -> None:
        """Count results, and show them.

        began : mapping
            Runs that are being trained, and when they began, by id.
        """
        for run, outcome, _ in results:
            self.done += 1
            self.failed += outcome.status != DONE
            self.epochs += outcome.epochs_trained
            self.forecast.saw(run, outcome.seconds)
            scores = json.loads(outcome.scores)
            if "val_loss" in scores and self.measure != "val_loss":
                self.measure, self.best = "val_loss", math.inf
            if outcome.status == DONE and self.measure in scores:
                self.best = min(self.best, scores[self.measure])
        self.show(results, began)

    def compiling(self, n: int) -> None:
        """Show that n programs are being compiled."""

    def show(self, results: Sequence[Result], began: Began) -> None:
        """Show the counts."""

    def text(self) -> str:
        """Return the counts beside the number of runs done."""
        rate = self.epochs / max(perf_counter() - self.began, 1e-9)
        best = f", best {self.measure} {self.best:.4g}" if self.best < math.inf else ""
        return f"{self.failed} failed, {rate:,.0f} epochs/s{best}"


class Lines(Progress):
    """A line for each run."""

    def compiling(self, n: int) -> None:
        """Print it."""
        STDERR.write(f"{compiling_text(n)}\n")

    def show(self, results: Sequence[Result], began: Began) -> None:
        """Print them."""
        first = self.done - len(results) + 1
        for number, (run, outcome, _) in enumerate(results, first):
            scores = ", ".join(f"{k} {v:.4g}" for k, v in json.loads(outcome.scores).items())
            told = scores if outcome.status == DONE else outcome.error
            STDERR.write(f"{number}/{self.n} {run.name}: {outcome.epochs_trained} epochs, {told}\n")


class Bar(Progress):
    """A bar, with the time that is left."""

    def __init__(self, tqdm: Any, runs: Sequence[Run], n: int, n_jobs: int) -> None:
        super().__init__(runs, n, n_jobs)
        shape = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
        self.bar = tqdm(total=n, initial=self.past, bar_format=shape, file=STDERR)
        self._interval, self._shown = tqdm.format_interval, 0.0

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def compiling(self, n: int) -> None:
        """Show it beside the bar, until the first results."""
        self.bar.set_postfix_str(compiling_text(n))

    def show(self, results: Sequence[Result], began: Began) -> None:
        """Move on."""
        if perf_counter() - self._shown < EVERY and self.done < self.n:
            return
        self._shown, left = perf_counter(), self.forecast.seconds(began)
        told = "" if math.isnan(left) else f"<{self._interval(left)}, "
        self.bar.set_postfix_str(told + self.text(), refresh=False)
        self.bar.n = self.done
        self.bar.refresh()


def compiling_text(n: int) -> str:
    """Return what a display says while n programs are being compiled."""
    return f"compiling {n} program{'s' * (n > 1)}"


def progress(runs: Sequence[Run], n: int, n_jobs: int, verbose: int | None) -> Progress:
    """Return a display of the progress on stderr, for a ``with`` block.

    Parameters
    ----------
    runs : sequence of Run
        Runs that are to be trained.
    n : int
        Runs in all.
    n_jobs : int
    verbose : {None, 0, 1, 2}
        Nothing, a bar, or a line for each run.  None: a bar in a terminal or a notebook.
    """
    if verbose is None:
        verbose = "ipykernel" in sys.modules or STDERR.isatty()
    if verbose == 1:
        with contextlib.suppress(Exception):  # tqdm is missing, or a warning of it is an error
            from tqdm.auto import tqdm

            return Bar(tqdm, runs, n, n_jobs)
    return (Lines if verbose else Progress)(runs, n, n_jobs)
