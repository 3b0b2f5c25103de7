"""The results of a study."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import validation
from ..models.base import Model
from ..saving import files
from ..training.history import History
from ..validation import shown
from .ensemble import Ensemble, reduced
from .figures import axes_of, draw_curves, draw_scores
from .plain import readable
from .report import page
from .runs import INDICES
from .store import Store
from .table import best_rows, frame, measured
from .work import DIVERGED, DONE, FAILED, curves, rebuilt

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Study:
    """The runs of `fit_many` and their results, which stay in the store.

    A run is named by its id, a digest of its row's content; DataFrames have ids as their index.

    Parameters
    ----------
    store : Store
        Closed with the study.

    Attributes
    ----------
    path : str
        File of the store; "" for a temporary one.
    settings : dict
        Arguments that all runs share.
    """

    def __init__(self, store: Store) -> None:
        self._store, self.path = store, store.path
        self.settings: dict[str, Any] = store.meta("settings")
        self._end = weakref.finalize(self, store.close)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Study:
        """Return the study of a file, also while `fit_many` writes to it.

        Raises
        ------
        FileNotFoundError, ValueError
            There is no such file, or it is no study.
        """
        return cls(Store(path))

    def close(self) -> None:
        """Close the file; a temporary one is gone then."""
        self._end()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.counts().items())
        return f"<Study of {len(self)} runs: {counts or 'none'}>"

    # --------------------------------------------------------------------------------- tables

    @property
    def ids(self) -> list[str]:
        """Ids of all runs, in the order of the rows."""
        return [id for (id,) in self._store.select("id")]

    def counts(self) -> dict[str, int]:
        """Return the number of runs by status: done, diverged, failed, waiting."""
        statuses = [status for (status,) in self._store.select("status")]
        return {status: statuses.count(status) for status in sorted(set(statuses))}

    def records(self) -> list[dict[str, Any]]:
        """Return a dict for each run: its id, its row's values, status and scores."""
        names = ("id", "row", "status", "best_epoch", "epochs_trained", "seconds", "error")
        records = []
        for *values, scores in self._store.select(", ".join((*names, "scores"))):
            record = dict(zip(names, values, strict=True))
            row = {k: readable(v) for k, v in json.loads(record.pop("row")).items()}
            records.append({"id": record.pop("id"), **row, **record, **json.loads(scores or "{}")})
        return records

    def to_frame(self) -> pd.DataFrame:
        """Return a data frame with a row for each run.

        Columns are the values of its row except index arrays, ``status``, ``best_epoch`` (the
        epoch whose parameters the model has), ``epochs_trained``, ``seconds``, ``error``, and the
        measures of that epoch: ``train_loss``, ``val_loss``, ``test_loss`` and so on.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        return frame(self.records())

    def best(self, measure: str = "val_loss", per: Iterable[str] = ()) -> pd.DataFrame:
        """Return the rows of `to_frame` with the best value of a measure.

        Parameters
        ----------
        measure : str
            Column.  Losses and errors are better when lower, accuracy and R2 when higher.
        per : iterable of str
            Columns: a row for each combination of their values.  Default: a single row.

        Raises
        ------
        ValueError
            There is no such column, or no run has a value.
        """
        return best_rows(self.to_frame(), measure, per)

    @property
    def failed(self) -> pd.DataFrame:
        """Rows of `to_frame` of runs that failed or diverged."""
        table = self.to_frame()
        return table[table["status"].isin([FAILED, DIVERGED])]

    # -------------------------------------------------------------------------------- figures

    def plot(
        self,
        x: str = "hidden_size",
        measure: str = "val_loss",
        per: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw a measure by the values of a column: means, with the quartiles of the runs.

        Parameters
        ----------
        x, measure : str
            Columns of `to_frame`.
        per : str, optional
            Column: a line for each of its values.
        ax : matplotlib Axes, optional
            Axes to draw on.  Default: a new figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ValueError
            There is no such column, or no run has a value.
        ImportError
            pandas or Matplotlib is not installed.
        """
        table = measured(self.to_frame(), measure, [x] if per is None else [x, per])
        ax = axes_of(ax)
        draw_scores(ax, table, x, measure, per)
        return ax

    def plot_curves(self, ids: Iterable[str] | None = None, ax: Axes | None = None) -> Axes:
        """Draw the losses of some runs over their epochs, of validation dashed.

        Parameters
        ----------
        ids : iterable of str, optional
            Runs.  Default: all that are done.
        ax : matplotlib Axes, optional
            Axes to draw on.  Default: a new figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Matplotlib is not installed.
        """
        names = self.done if ids is None else list(ids)
        histories = [self.history(id) for id in names]
        ax = axes_of(ax)
        draw_curves(ax, histories, ("loss", "val_loss"), names)
        return ax

    def report(self, path: str | os.PathLike[str], measure: str = "val_loss") -> None:
        """Write a page of HTML to look at: counts, figures, the best runs, the failed ones.

        Parameters
        ----------
        path : path
            Replaced if it exists.  The page needs no other file.
        measure : str
            Column that orders the runs.

        Raises
        ------
        ImportError
            pandas or Matplotlib is not installed.
        """
        files.replace(validation.path("path", path), page(self, measure).encode())

    # --------------------------------------------------------------------------------- models

    def _row(self, id: Any, columns: str) -> Any:
        found = self._store.select(columns, "where id = ?", [str(id)])
        if not found:
            raise KeyError(f"there is no run {shown(id)}")
        return found[0]

    def model(self, id: str) -> Model:
        """Return the model of a run, with the parameters of its best epoch.

        Its random generator goes on where the training ended.

        Raises
        ------
        KeyError
            There is no such run.
        ValueError
            The run has no model: it failed, or is still to come.
        """
        architecture, parameters, generator, status = self._row(
            id, "architecture, parameters, generator, status"
        )
        if not architecture:
            raise ValueError(f"run {id} has no model: it is {status}")
        return rebuilt(architecture, parameters, generator)

    def models(self, ids: Iterable[str] | None = None) -> Iterator[Model]:
        """Yield the models of some runs; None: of all that are done."""
        for id in self.done if ids is None else ids:
            yield self.model(id)

    @property
    def done(self) -> list[str]:
        """Ids of the runs that are done, in the order of the rows."""
        return [id for (id,) in self._store.select("id", "where status = ?", [DONE])]

    def history(self, id: str) -> History:
        """Return the curves of a run, of all its epochs.

        Raises
        ------
        KeyError
            There is no such run.
        """
        return curves(*self._row(id, "columns, history, epochs_trained"))

    def indices(self, id: str) -> dict[str, np.ndarray]:
        """Return the index arrays of a run that it has: ``train``, ``validation``, ``test``."""
        digests = dict(zip(INDICES, self._row(id, ", ".join(INDICES)), strict=True))
        return {name: self._store.samples(k) for name, k in digests.items() if k is not None}

    def ensemble(self, ids: Iterable[str] | None = None) -> Ensemble:
        """Return the models of some runs as one; None: of all that are done."""
        return Ensemble(self.models(ids))

    def predict(
        self,
        X: Any,
        ids: Iterable[str] | None = None,
        reduce: str | None = "mean",
        **options: Any,
    ) -> Any:
        """Return outputs of some models: probabilities of a classifier, else values.

        Parameters
        ----------
        X : array-like or list
            As in `Model.predict`.
        ids : iterable of str, optional
            Runs, such as the index of `best`.  Default: all that are done.
        reduce : {"mean", "median", "std", None}
            Over the models.  None: an array, or a list of results, with an axis of models first.
        **options
            `lengths` and other arguments of `Model.predict`.
        """
        return reduced(self.ensemble(ids).outputs(X, **options), reduce)
