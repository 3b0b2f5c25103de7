"""The results of a study."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import validation
from ..models.base import Model
from ..saving import files
from ..training.history import History
from ..validation import shown
from .ensemble import Ensemble, Reduction, reduced
from .figures import axes_of, draw_curves, draw_scores
from .report import brief, page
from .results import Results, unknown
from .runs import INDICES
from .store import Store
from .table import measured
from .work import curves, rebuilt

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Study(Results):
    """The runs of `fit_many` and their results, which stay in the store.

    A run is named by its id, a digest of its row's content.  DataFrames have ids as their index, so
    methods that take ids also take a DataFrame, such as some rows of `to_frame`.

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
        super().__init__(store)
        self.path: str = store.path
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

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.counts().items())
        return f"<Study of {len(self)} runs: {counts or 'none'}>"

    def _repr_html_(self) -> str:
        return brief(self)

    def plot(
        self,
        x: str = "hidden_size",
        measure: str = "val_loss",
        per: str | None = None,
        ax: Axes | None = None,
        table: pd.DataFrame | None = None,
    ) -> Axes:
        """Draw a measure by the values of a column: means, with the quartiles of the runs.

        Parameters
        ----------
        x, measure : str
            Columns of the table.
        per : str, optional
            Column: a line for each of its values.
        ax : matplotlib Axes, optional
            Axes to draw on.  Default: a new figure.
        table : DataFrame, optional
            Rows to draw, such as those of `best`, perhaps with columns of one's own.  Default:
            `to_frame`.

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
        table = self.to_frame() if table is None else table
        table = measured(table, measure, [x] if per is None else [x, per])
        ax = axes_of(ax)
        draw_scores(ax, table, x, measure, per)
        return ax

    def plot_curves(self, ids: Any = None, ax: Axes | None = None) -> Axes:
        """Draw the losses of some runs over their epochs, of validation dashed.

        Parameters
        ----------
        ids : str, iterable of str, or DataFrame, optional
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
        names = self._chosen(ids)
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

    def _row(self, run: Any, columns: str) -> Any:
        """Return columns of one run."""
        ids = [run] if isinstance(run, str) else self._chosen(run)
        if len(ids) != 1:
            raise ValueError(f"id must be of one run; got {len(ids)}")
        found = self._store.select(columns, "where id = ?", ids)
        if not found:
            raise unknown(run)
        return found[0]

    def model(self, id: Any) -> Model:
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
            raise ValueError(f"run {shown(id)} has no model: it is {status}")
        return rebuilt(architecture, parameters, generator)

    def models(self, ids: Any = None) -> Iterator[Model]:
        """Return an iterator of the models of some runs; None: of all that are done."""
        return map(self.model, self._chosen(ids))

    def history(self, id: Any) -> History:
        """Return the curves of a run, of all its epochs.

        Raises
        ------
        KeyError
            There is no such run.
        """
        return curves(*self._row(id, "columns, history, epochs_trained"))

    def indices(self, id: Any) -> dict[str, np.ndarray]:
        """Return the index arrays of a run that it has: ``train``, ``validation``, ``test``."""
        digests = dict(zip(INDICES, self._row(id, ", ".join(INDICES)), strict=True))
        return {name: self._store.samples(k) for name, k in digests.items() if k is not None}

    def ensemble(self, ids: Any = None) -> Ensemble:
        """Return the models of some runs as one; None: of all that are done."""
        return Ensemble(self.models(ids))

    def predict(
        self,
        X: Any,
        ids: Any = None,
        reduce: Reduction | None = "mean",
        **options: Any,
    ) -> Any:
        """Return outputs of some models: probabilities of a classifier, else values.

        Parameters
        ----------
        X : array-like or list
            As in `Model.predict`.
        ids : str, iterable of str, or DataFrame, optional
            Runs, such as ``study.best()`` or ``study.select(hidden_size=2)``.  Default: all that
            are done.
        reduce : {"mean", "median", "std", None}
            Over the models.  None: an array, or a list of results, with an axis of models first.
        **options
            `lengths` and other arguments of `Model.predict`.
        """
        return reduced(self.ensemble(ids).outputs(X, **options), reduce)
