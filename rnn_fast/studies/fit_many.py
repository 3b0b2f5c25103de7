"""The training of many models in one call."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..engine import threads
from ..errors import DivergedError, Terminated
from ..models.base import Model
from ..training.config import verbosity
from ..training.signals import Signals
from ..validation import choice, flag
from .cluster import DaskCrew, workers_of
from .crew import Crew, Result
from .locks import sole_writer
from .plan import Planner, kind_of
from .progress import Progress, progress
from .sources import Sources
from .store import Store
from .study import Study
from .work import DIVERGED, DONE, FAILED, curves

if TYPE_CHECKING:
    import pandas as pd

    from ..data.targets import Missing
    from .runs import Runs


def fit_many(
    model: type[Model] | None,
    runs: Runs | Iterable[Mapping[str, Any]] | pd.DataFrame,
    X: Any,
    y: Any,
    *,
    lengths: Any = None,
    mask: Any = None,
    sample_weight: Any = None,
    missing: Missing | None = None,
    store: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
    client: Any = None,
    errors: Literal["keep", "raise"] = "keep",
    retry_failed: bool = False,
    verbose: bool | int | None = None,
    check_finite: bool = True,
    **common: Any,
) -> Study:
    """Train a model for each row of a table, on the same data; return all results.

    A thread for each core takes one model after the other, the costliest first; the last ones share
    the cores.  Each model has the bits of training it alone, as
    ``model(**arguments).fit(X[train], y[train], validation_data=(X[validation], y[validation]))``,
    whatever `n_jobs` and the other rows.

    Parameters
    ----------
    model : class, or None
        `GRU`, `LSTM`, `SimpleRNN` or `LeakyRNN`.  None: each row has a ``cell``: "gru", "lstm",
        "rnn" or "leaky".
    runs : Runs, iterable of dict, or DataFrame
        Rows, such as ``grid(hidden_size=[2, 5]) * folds(len(X), outer=10, inner=9)``.  A row holds
        arguments of the model and of `fit`; index arrays ``train``, ``validation`` and ``test``,
        whose order does not matter; and labels, which become columns of the results.  Without a
        ``seed`` its content decides, not its place.
    X, y, lengths, mask, sample_weight
        As in `Model.fit`, read into memory as one block.  `mask` and `sample_weight` also weigh
        validation and test data.  Or dicts with the same keys, a set of data for each subject;
        then each row has a ``data``, one of the keys.
    missing : "nan", optional
        As in `Model.fit`, of all data: NaN in y is a missing value, in validation and test data
        too.
    store : path, optional
        File that keeps each result as soon as there is one.  The same call again goes on with
        what is missing, and trains rows that are new.  Default: a temporary file.
    n_jobs : int, optional
        Models that are trained at the same time.  Default: the cores that this process may use.
    client : distributed.Client, optional
        Dask cluster whose workers train: each of their threads takes a model at a time, and
        `n_jobs` must be None.  They must have the same processor and the same versions.  They are
        sent compiled programs and the data; data given as paths they read themselves.
    errors : {"keep", "raise"}
        Whether a run that fails or diverges is a row that says so, with a warning at the end, or
        an error that ends the study.
    retry_failed : bool
        Whether runs of the store that failed or diverged are trained again.
    verbose : {None, False, True, 2}
        Nothing (False), a progress bar (True) or a line for each run (2), on stderr.  None: a bar
        in a terminal or a notebook.
    check_finite : bool
        Whether to search the data for NaN and infinities.
    **common
        Arguments of the model and of `fit` for all rows that do not have their own.

    Returns
    -------
    Study
        All runs of the store.

    Raises
    ------
    TypeError, ValueError
        A row does not fit, named by its place and by what differs between rows; the store is of
        other data or settings; or workers differ.  Nothing has been trained.
    CompilerMissing
        No compiled program can be had, here or by a worker.
    BlockingIOError
        Another process trains a study in this store.
    DivergedError, RuntimeError
        The first run that failed, with ``errors="raise"``.
    KeyboardInterrupt, Terminated
        Ctrl-C or SIGTERM; the store has all results so far.
    """
    choice("errors", errors, ("keep", "raise"))
    statuses = (FAILED, DIVERGED) if flag("retry_failed", retry_failed) else ()
    verbose = verbosity("verbose", verbose)
    if client is not None and n_jobs is not None:
        raise ValueError("n_jobs cannot go with client: the cluster's workers have their threads")
    workers = None if client is None else workers_of(client)
    n_jobs = threads.wanted(n_jobs) if workers is None else workers.n_threads
    cell = None if model is None else kind_of(model)
    sources = Sources(
        X,
        y,
        lengths=lengths,
        mask=mask,
        sample_weight=sample_weight,
        missing=missing,
        check_finite=flag("check_finite", check_finite),
    )
    planner = Planner(cell, sources, common)
    planned = planner.runs(runs)
    with sole_writer(store), contextlib.ExitStack() as stack:
        kept = Store(store, writes=True)
        if store is not None:
            stack.callback(kept.close)
        kept.agree(planner.settings(), sources.fingerprint())
        past = kept.plan(planned, statuses)
        left = [run for run in planned if run.id not in past]
        crew = Crew(left, sources, n_jobs) if workers is None else DaskCrew(left, sources, workers)
        with progress(left, len(planned), n_jobs, verbose) as shows:
            failures = _train_all(crew, len(left), kept, errors == "raise", shows)
    if failures:
        warnings.warn(failed_text(failures, len(left)), RuntimeWarning, stacklevel=2)
    return Study(kept if store is None else Store(store))


def _train_all(
    crew: Crew | DaskCrew, n: int, store: Store, raises: bool, shows: Progress
) -> list[Result]:
    """Let a crew train its `n` runs, write their results, return the failed ones."""
    failures: list[Result] = []
    done = 0

    def keep(results: list[Result]) -> None:
        nonlocal done
        if results:
            with signals.waiting():
                store.write([outcome for _, outcome, _ in results], crew.about)
            done += len(results)
            failures.extend(result for result in results if result[1].status != DONE)
        with signals.waiting():
            shows.update(results, dict(crew.began))

    crew.tells = shows.compiling
    with Signals() as signals:
        try:
            with crew:
                for results in crew.results():
                    keep(results)
                    if raises and failures:
                        break
        except (KeyboardInterrupt, Terminated) as stop:
            keep(crew.ready())
            _tell(stop, f"study stopped after {done} of {n} runs", store)
            raise
        keep(crew.ready())
    if raises and failures:
        _raise(failures[0])
    return failures


def _tell(stop: BaseException, text: str, store: Store) -> None:
    """Say in an interrupt how far the study went."""
    text += f"; the same call goes on from {store.path}" if store.path else "; no store kept them"
    if isinstance(stop, Terminated):
        stop.told = text
    else:
        stop.args = (text,)


def _raise(result: Result) -> None:
    """Raise the error of a run."""
    run, outcome, error = result
    text = f"{run.name}: {outcome.error}"
    if outcome.status == DIVERGED:
        history = curves(outcome.columns, outcome.history, outcome.epochs_trained)
        raise DivergedError(text, history)
    raise RuntimeError(text) from error


def failed_text(failures: Sequence[Result], n: int) -> str:
    """Return the warning about runs that failed."""
    diverged = sum(outcome.status == DIVERGED for _, outcome, _ in failures)
    run, outcome, _ = failures[0]
    return (
        f"{len(failures)} of {n} runs have no result: {diverged} diverged, "
        f"{len(failures) - diverged} failed; Study.failed lists them. The first was {run.name}: "
        f"{outcome.error}"
    )
