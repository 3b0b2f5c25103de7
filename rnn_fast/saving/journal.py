"""Histories of long trainings, filed beside their checkpoints.

A checkpoint holds the last rows of its history itself, some hundreds.  The rows before them are in
one of two files, ``<path>.history.0`` and ``<path>.history.1``, to which rows are only added::

    MAGIC, run    16 and 16 bytes; the run is a random number, drawn for these rows
    rows          float64, one row for each epoch and one column for each measure

A checkpoint names its run and has the digest of its rows.  So rows that were added after it do not
matter, and a checkpoint and the one before share a file.  A process that begins to file rows takes
the file that the last checkpoint does not need.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..tuning import TUNING
from . import files

MAGIC = b"rnn_fast history"
HEAD = len(MAGIC) + 16
LIMIT = 1 << 16  #: rows in a checkpoint itself; `Tuning.history_rows` are less
ROW = np.dtype("<f8")
LOCK_SECONDS = 60  #: after which the other job is taken for suspended


def slots(target: str) -> tuple[str, str]:
    """Return the two files; the first is also the one that is locked."""
    return f"{target}.history.0", f"{target}.history.1"


@contextlib.contextmanager
def locked(target: str, create: bool, system: files.Files = files.FILES) -> Iterator[None]:
    """Keep other jobs that write or read a checkpoint out of the block, as far as the system can.

    A job that has been suspended in such a block is waited for no longer than `LOCK_SECONDS`.

    Parameters
    ----------
    target : str
        The checkpoint.
    create : bool
        Whether to make the file to lock if there is none.  Otherwise nothing is locked then.
    system : Files
        Calls of the operating system.
    """
    file, flags = slots(target)[0], os.O_RDWR | files.NO_LINK | (os.O_CREAT if create else 0)
    end = time.monotonic() + LOCK_SECONDS
    handle = None
    with files.naming(file), contextlib.suppress(*([] if create else [OSError])):
        handle = files.open_regular(file, flags, system)
    try:
        while handle is not None and not files.lock(handle) and time.monotonic() < end:
            time.sleep(0.005)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def rows_of(history: Mapping[str, Any], columns: Sequence[str], start: int) -> np.ndarray:
    """Return the rows of a history from row `start` on, (n, columns) float64."""
    return np.array([history[name][start:] for name in columns], ROW).T


class Journal:
    """Rows of this process in one of the files of a checkpoint.

    Parameters
    ----------
    target : str
        The checkpoint.
    columns : sequence of str
        Measures in a row.
    in_use : callable
        Returns the runs of the checkpoint before the last and of the last.
    system : Files
        Calls of the operating system.

    Attributes
    ----------
    run : str
        Name of the rows.
    n : int
        Rows in the file.

    Raises
    ------
    FileExistsError
        One of the files is something else.
    """

    def __init__(
        self,
        target: str,
        columns: Sequence[str],
        in_use: Callable[[], list[str | None]],
        system: files.Files,
    ) -> None:
        self.slots, self.columns, self.in_use, self.system = slots(target), columns, in_use, system
        self.target = target
        self._start_again()
        for slot in self.slots:
            _run_in(slot)

    def _start_again(self) -> None:
        self.run, self.n, self._digest = os.urandom(8).hex(), 0, hashlib.sha256()

    def is_long(self, n: int) -> bool:
        """Return whether rows of a history of n epochs are, or must be, in a file."""
        return self.n > 0 or n >= TUNING.history_rows

    def note(self, history: Mapping[str, Any], n: int) -> tuple[dict[str, Any], np.ndarray]:
        """Return the record of a history of n epochs, and its last rows.

        Raises
        ------
        OSError
            The rows cannot be filed; what was filed before is untouched.
        """
        slot = self._mine()
        if slot is None:
            self._start_again()
        if n - self.n >= TUNING.history_rows:
            slot = slot or self._free()
            with files.naming(slot):
                self._file(slot, rows_of(history, self.columns, self.n))
        record = {
            "epochs": n,
            "filed": self.n,
            "columns": list(self.columns),
            "run": self.run,
            "digest": self._digest.hexdigest(),
        }
        return record, rows_of(history, self.columns, self.n)

    def _mine(self) -> str | None:
        """Return the file that has this run's rows; None if it was taken away."""
        size = HEAD + self.n * len(self.columns) * ROW.itemsize
        for slot in self.slots:
            if self.n and _run_in(slot) == self.run and os.path.getsize(slot) >= size:
                return slot
        return None

    def _free(self) -> str:
        """Return the file that no checkpoint needs or, if both do, that of the one before."""
        needed = self.in_use()
        runs = {slot: _run_in(slot) for slot in self.slots}
        return min(runs, key=lambda slot: needed.index(runs[slot]) if runs[slot] in needed else -1)

    def _file(self, slot: str, rows: np.ndarray) -> None:
        """Write rows behind those in a file, or at its beginning if there are none of this run."""
        data, digest = rows.tobytes(), self._digest.copy()
        digest.update(data)
        flags = os.O_RDWR | os.O_CREAT | files.NO_LINK
        handle = files.open_regular(slot, flags, self.system)
        try:
            if not self.n:
                os.ftruncate(handle, 0)
                if os.path.exists(self.target):
                    files.make_like(handle, self.target)
                files.write_all(handle, MAGIC + self.run.encode(), self.system)
            os.lseek(handle, HEAD + self.n * len(self.columns) * ROW.itemsize, os.SEEK_SET)
            files.write_all(handle, data, self.system)
            self.system.fsync(handle)
        finally:
            os.close(handle)
        if not self.n:
            files.sync_folder(slot, self.system)
        self.n, self._digest = self.n + len(rows), digest


def filed_rows(target: str, record: Mapping[str, Any]) -> np.ndarray:
    """Return the rows that a record says are filed, (n, columns).

    Raises
    ------
    ModelFileError
        They are not there, or damaged.
    """
    n, k = record["filed"], len(record["columns"])
    for slot in slots(target):
        if n and _run_in(slot) == record["run"]:
            with open(files.open_regular(slot, os.O_RDONLY | files.NO_LINK), "rb") as file:
                size, data = os.fstat(file.fileno()).st_size, b""
                if size >= HEAD + n * k * ROW.itemsize:
                    file.seek(HEAD)
                    data = file.read(n * k * ROW.itemsize)
            if hashlib.sha256(data).hexdigest() == record["digest"]:
                return np.frombuffer(data, ROW).reshape(n, k)
    if n:
        raise ModelFileError(f"its history is missing or damaged; it was in one of {slots(target)}")
    return np.empty((0, k))


def _run_in(slot: str) -> str:
    """Return the run whose rows are in a file; "" for an empty file, or none.

    Raises
    ------
    FileExistsError
        The file has other content.
    """
    try:
        with open(files.open_regular(slot, os.O_RDONLY | files.NO_LINK), "rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        return ""
    if not MAGIC.startswith(head[: len(MAGIC)]):
        raise FileExistsError(17, "A file is in the place of a checkpoint's history", slot)
    return head[len(MAGIC) :].decode("ascii", "replace")
