"""Callbacks for `fit` and `fit_stream`: objects to be called after each epoch.

Any function of the model and the history is a callback too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from . import validation
from .saving import files
from .training.history import History


class CSVLogger:
    """Write a line of a CSV file for each epoch.

    The columns are ``epoch``, counted from 1, and the measures that the history keeps; the numbers
    have all their digits.  A line is written whole and at once, so that the file may be read while
    the training runs.  A training that resumes goes on after its last epoch: no epoch is in the
    file twice, and none is missing.

    Parameters
    ----------
    path : path
        The file.  Its folder exists.
    append : bool
        Whether to keep the lines of other trainings that are in the file, and go on after them.
        Default: a new training replaces the file.

    Raises
    ------
    OSError
        The file cannot be written: no folder, or no rights.
    """

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path: str = files.target_of("path", validation.path("path", path))
        self.append: bool = validation.flag("append", append)
        self._history: History | None = None  # whose first epochs are in the file
        self._n_epochs = 0  # of these

    def __call__(self, model: Any, history: History) -> None:
        """Write the epochs of a history that are not in the file yet.

        Raises
        ------
        ValueError
            The file, with ``append=True``, has other columns.
        OSError
            The file cannot be read or written.
        """
        if history is self._history:
            try:
                self._add(_lines(history, self._n_epochs))
            except FileNotFoundError:  # somebody has removed it
                self._begin(history)
        else:
            self._begin(history)
        self._history, self._n_epochs = history, len(history)

    def _begin(self, history: History) -> None:
        """Write the file anew, with all epochs of a history; keep other trainings if wanted."""
        header = ",".join(["epoch", *_columns(history)]) + "\n"
        own = [*_lines(history, 0)]
        before = self._lines_before(own[0]) if self.append else []
        if before and before[0] != header:
            raise ValueError(
                f"append=True: {self.path} has the columns {before[0].rstrip()}, which differ from "
                f"{header.rstrip()}"
            )
        files.replace(self.path, "".join([*(before or [header]), *own]).encode())

    def _lines_before(self, first: str) -> list[str]:
        """Return the lines of the file before the training whose first epoch has the line `first`.

        A part of a line at the end, which a killed process may have left, is left out.
        """
        try:
            with open(self.path, encoding="utf-8", newline="") as file:
                found = [line for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []
        starts = [i for i, line in enumerate(found) if line.startswith("1,")]
        return found[: starts[-1]] if starts and found[starts[-1]] == first else found

    def _add(self, new: Iterable[str]) -> None:
        handle = files.open_regular(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            files.write_all(handle, "".join(new).encode(), files.FILES)
        finally:
            os.close(handle)


def _columns(history: History) -> dict[str, list[float]]:
    """Return the measures that a history keeps, by name."""
    return {name: kept for name, kept in vars(history).items() if kept is not None}


def _lines(history: History, start: int) -> Iterable[str]:
    """Yield the lines of the epochs after the first `start`."""
    kept = [each[start:] for each in _columns(history).values()]
    for epoch, values in enumerate(zip(*kept, strict=True), start + 1):
        yield ",".join([str(epoch), *map(repr, map(float, values))]) + "\n"
