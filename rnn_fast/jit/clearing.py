"""Removal of programs that nobody has used for long.

An upgrade or an edit gives every program a new name, and the old files stay.  Several versions,
interpreters and processes may share a folder, so a file's age counts from its last use.  Programs
in memory need no file; a process that finds its program gone compiles it again.
"""

from __future__ import annotations

import contextlib
import re
import time

from .folders import DAY, Folder

MAX_AGE = 90 * DAY  #: seconds without use; a program takes 3 to 10 s to compile again
#: of all programs; 87 MB hold the 1,061 programs of this package's tests, a user's need 1 to 5 MB
MAX_TOTAL = 256 << 20
#: seconds; younger programs stay whatever their size: the time of the last use is right to a day
IN_USE = 2 * DAY
STALE = DAY  #: seconds after which a lock or a half-written file is left from a process that ended

_PROGRAM = re.compile(r"[0-9a-f]{32}\.o")  # the folder may hold other files of its user
_REST = re.compile(r"[0-9a-f]{32}\.(lock|o\.[0-9a-f]{16}\.tmp)")


def clear(folder: Folder, max_total: int = MAX_TOTAL, now: float | None = None) -> None:
    """Delete old programs, and the least recently used of too many.

    It takes 3 ms for 1,000 files, and runs after a compilation.
    """
    now = time.time() if now is None else now
    programs, gone = [], []
    for name, info in folder.files():
        age = now - info.st_mtime
        if _PROGRAM.fullmatch(name):
            programs.append((age, info.st_size, name))
        elif _REST.fullmatch(name) and age > STALE:
            gone.append(name)
    total = 0
    for age, size, name in sorted(programs):
        total += size
        if age > MAX_AGE or (total > max_total and age > IN_USE):
            gone.append(name)
    for name in gone:
        with contextlib.suppress(OSError):
            folder.remove(name)
