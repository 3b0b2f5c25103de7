"""The store of a study: one SQLite file, or a temporary one.

There are no pickles.  The journal is SQLite's rollback journal, which works on network file
systems too.  A write-ahead log would save 0.7 of the 0.8 ms of processor time of a transaction, and
there are four a second: results are written in groups.  Readers see the last whole group while a
study runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

import numpy as np

from .. import validation
from ..errors import CompilerMissing
from ..jit import can_compile, pack, target
from ..jit.cache import versions
from .plain import digest_of
from .plan import Run
from .runs import INDICES
from .work import WAITING, Outcome

FORMAT = 1  #: version of the schema
APPLICATION = 0x726E6E66  #: marks an SQLite file as a study
PATIENCE = 60.0  #: seconds to wait for another process that reads or writes
SCHEMA = f"""
pragma application_id = {APPLICATION};
pragma user_version = {FORMAT};
create table meta (name text primary key, value text) without rowid;
create table machine (id integer primary key, about text unique);
create table indices (digest text primary key, samples blob) without rowid;
create table run (
    id text primary key, place integer, row text, train text, validation text, test text,
    status text, error text, architecture text, best_epoch integer, epochs_trained integer,
    seconds real, scores text, parameters blob, columns text, history blob, generator text,
    machine integer, finished text
);
"""
UPDATE = f"""
update run set {", ".join(f"{name} = :{name}" for name in Outcome._fields[1:])},
machine = :machine, finished = :finished where id = :id
"""


class Store:
    """A file of runs and results, or a temporary one, which SQLite removes.

    Parameters
    ----------
    path : path or None
        None: a temporary file, in memory as far as that is small.
    writes : bool
        Whether the file may be made and changed.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such file to read, or it is no study.
    sqlite3.Error
        The file cannot be read or written.
    """

    def __init__(self, path: Any = None, writes: bool = False) -> None:
        self.path: str = "" if path is None else validation.path("store", path)
        exists = bool(self.path) and os.path.exists(self.path)
        if self.path and not (exists or writes):
            raise FileNotFoundError(f"there is no study {self.path!r}")
        self.connection: sqlite3.Connection = sqlite3.connect(
            self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            if exists and (not writes or os.path.getsize(self.path)):
                self._check()
            else:
                self._begin()
        except BaseException:
            self.connection.close()
            raise

    def _begin(self) -> None:
        with self.transaction():
            for statement in filter(str.strip, SCHEMA.split(";")):
                self.connection.execute(statement)

    def _check(self) -> None:
        """Raise ValueError if the file is no study that this version reads."""
        try:
            application = self._pragma("application_id")
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # such as a file that is locked
                raise
            application = None
        if application != APPLICATION:
            raise ValueError(f"{self.path} is no study of rnn_fast")
        if (version := self._pragma("user_version")) != FORMAT:
            raise ValueError(
                f"{self.path} is a study of version {version}; this rnn_fast reads {FORMAT}"
            )

    def _pragma(self, name: str) -> Any:
        return self.connection.execute(f"pragma {name}").fetchone()[0]

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of a ``with`` block, or nothing."""
        self.connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    # ------------------------------------------------------------------------------- settings

    def meta(self, name: str) -> dict[str, Any]:
        """Return what the study was begun with: ``settings`` or ``data``."""
        found = self.connection.execute("select value from meta where name = ?", (name,)).fetchone()
        return json.loads(found[0]) if found else {}

    def agree(self, settings: dict[str, Any], data: dict[str, str]) -> None:
        """Note settings and data, or check that they are those of the runs so far.

        Raises
        ------
        ValueError
            They differ; the message says in what.
        """
        before, known = self.meta("settings"), self.meta("data")
        if known:
            differs = [
                f"{name} was {before.get(name)!r}, and is {settings.get(name)!r}"
                for name in sorted(before.keys() | settings.keys())
                if before.get(name) != settings.get(name)
            ]
            single = "X" in known or "X" in data
            names = known.keys() | data.keys() if single else known.keys() & data.keys()
            differs += [
                f"{name} was {known.get(name)}, and is {data.get(name)}"
                for name in sorted(names)
                if known.get(name) != data.get(name)
            ]
            if differs:
                raise ValueError(f"the store {self.path} is of another study: {'; '.join(differs)}")
        with self.transaction():
            for name, value in (("settings", settings), ("data", {**known, **data})):
                row = name, json.dumps(value)
                self.connection.execute("insert or replace into meta values (?, ?)", row)

    # ----------------------------------------------------------------------------------- runs

    def plan(self, runs: Iterable[Run], again: Iterable[str]) -> set[str]:
        """Note runs that are to come; return the ids of those that have a result.

        Parameters
        ----------
        runs : iterable of Run
        again : iterable of str
            Statuses whose runs are to be trained again.
        """
        known = dict(self.connection.execute("select id, status from run"))
        place = len(known)
        with self.transaction():
            for run in runs:
                if run.id in known:
                    continue
                digests = [self._keep(getattr(run, name)) for name in INDICES]
                row = run.id, place, run.text, *digests, WAITING
                self.connection.execute(
                    "insert into run (id, place, row, train, validation, test, status) "
                    "values (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
                place += 1
        left = {WAITING, *again}
        return {id for id, status in known.items() if status not in left}

    def _keep(self, samples: np.ndarray | None) -> str | None:
        """Keep an index array; return its digest."""
        if samples is None:
            return None
        data = samples.tobytes()
        digest = digest_of(data)
        self.connection.execute("insert or ignore into indices values (?, ?)", (digest, data))
        return digest

    def write(self, outcomes: Iterable[Outcome], about: str) -> None:
        """Write results, all or none.

        about : str
            What `machine` returned where they were made.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with self.transaction():
            self.connection.execute("insert or ignore into machine (about) values (?)", (about,))
            (id,) = self.connection.execute(
                "select id from machine where about = ?", (about,)
            ).fetchone()
            for outcome in outcomes:
                row = {**outcome._asdict(), "machine": id, "finished": now}
                self.connection.execute(UPDATE, row)

    def select(self, columns: str, where: str = "", values: Iterable[Any] = ()) -> list[Any]:
        """Return columns of runs, in the order of the rows."""
        query = f"select {columns} from run {where} order by place"
        return self.connection.execute(query, tuple(values)).fetchall()

    def samples(self, digest: str) -> np.ndarray:
        """Return an index array."""
        query = "select samples from indices where digest = ?"
        (data,) = self.connection.execute(query, (digest,)).fetchone()
        return np.frombuffer(data, np.int64)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def machine() -> str:
    """Return the versions and the processor that a result is of, as JSON.

    Raises
    ------
    CompilerMissing
        Nothing can be trained here.
    """
    if not can_compile() and pack() is None:
        raise CompilerMissing("a study")
    package = sys.modules[__name__.partition(".")[0]]  # above this room
    about = {"rnn_fast": package.__version__, "python": platform.python_version(), **versions()}
    return json.dumps({**about, "processor": target().processor, "system": sys.platform})
