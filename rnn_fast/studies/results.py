"""The table of a study: its rows, their scores, and the choice of some."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..validation import choice, shown
from .plain import readable
from .store import Store
from .table import alternatives, best_rows, best_settings, check_column, frame, names_of
from .work import DIVERGED, DONE, FAILED, WAITING

if TYPE_CHECKING:
    import pandas as pd


IDS = "Ids are the index of to_frame() and of best(), and what select() returns"
STATUSES = (DONE, DIVERGED, FAILED, WAITING)


def unknown(id: Any) -> KeyError:
    """Return the error about an id of no run."""
    return KeyError(f"there is no run {shown(id)}. {IDS}")


class Results:
    """Rows of a store and their scores.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ids(self) -> list[str]:
        """Ids of all runs, in the order of the rows."""
        return [id for (id,) in self._store.select("id")]

    @property
    def done(self) -> list[str]:
        """Ids of the runs that are done, in the order of the rows."""
        return [id for (id,) in self._store.select("id", "where status = ?", [DONE])]

    def _chosen(self, ids: Any) -> list[str]:
        """Return ids from ids, one id, or a DataFrame; None: all that are done.

        Raises
        ------
        TypeError, KeyError
            The argument is something else, or there is no such run.
        """
        if ids is None:
            return self.done
        if hasattr(ids, "iloc") and hasattr(ids, "columns"):  # a DataFrame
            ids = ids.index
        if not isinstance(ids, Iterable):
            raise TypeError(f"ids must be an id, ids or a DataFrame; got {shown(ids)}. {IDS}")
        chosen, known = [ids] if isinstance(ids, str) else list(ids), set(self.ids)
        for id in chosen:
            if not (isinstance(id, str) and id in known):
                raise unknown(id)
        return chosen

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

    def best(
        self,
        measure: str = "val_loss",
        per: Iterable[str] = (),
        mean_over: Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Return the rows of `to_frame` with the best value of a measure.

        Parameters
        ----------
        measure : str
            Column.  Losses and errors are better when lower, accuracy and R2 when higher.
        per : iterable of str
            Columns: a row for each combination of their values.  Default: a single row.
        mean_over : iterable of str, optional
            Columns such as ``["inner"]``: choose settings, not runs.  Runs that differ only in
            these columns and in their seed have the same setting, and all runs of the setting with
            the best mean are returned.  A setting with a run that has no value is not chosen.

        Raises
        ------
        ValueError
            There is no such column, or no run has a value.

        Examples
        --------
        Nested cross-validation: the size with the best mean over inner folds, for each outer fold,
        and the test loss of its models::

            best = study.best("val_loss", per=["outer"], mean_over=["inner"])
            best.groupby("outer")["test_loss"].mean()
        """
        table = self.to_frame()
        if mean_over is None:
            return best_rows(table, measure, names_of(per))
        return best_settings(table, measure, names_of(per), names_of(mean_over))

    def select(self, *, status: Any = DONE, **values: Any) -> list[str]:
        """Return the ids of runs that have some values, in the order of the rows.

        Parameters
        ----------
        status : str or list of str
            One of, or several of, "done", "diverged", "failed" and "waiting".
        **values
            Value of a column of `to_frame`, or a list, array or range of such values; None for
            runs that have none.

        Raises
        ------
        ValueError
            There is no such column, or no run has one of its values.

        Examples
        --------
        ``study.predict(X, study.select(data="hills", hidden_size=[1, 2]))``
        """
        records = self.records()
        columns = list(dict.fromkeys(chain(*records)))
        statuses = [choice("status", each, STATUSES) for each in alternatives("status", status)]
        found = [record for record in records if record["status"] in statuses]
        for name, value in values.items():
            check_column(name, columns)
            wanted = alternatives(name, value)
            known = dict.fromkeys(record.get(name) for record in records)
            if not any(each in known for each in wanted):
                there = shown(list(known)).strip("[]")
                raise ValueError(f"no run has {name}={shown(value)}; there are {there}")
            found = [record for record in found if record.get(name) in wanted]
        return [record["id"] for record in found]

    @property
    def failed(self) -> pd.DataFrame:
        """Rows of `to_frame` of runs that failed or diverged."""
        table = self.to_frame()
        return table[table["status"].isin([FAILED, DIVERGED])]
