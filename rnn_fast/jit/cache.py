"""The disk cache of compiled programs: one file of object code each.

Plain ``njit(cache=True)`` was seen to run old code after an edit of a function that the cached one
calls, to mix up files of two processes that write at once, to fail at import on a read-only
install, and to ignore bounds checking in its key.  It also needs Numba imported (0.6 s) to load
anything.  So this cache holds less: the object code of one C function that calls nothing outside
itself.  Loading needs llvmlite alone, no Numba and no unpickling.

The name of a file is a hash of everything that shapes its code: the program's name, the sources of
the compiled floors (`sources`) and of modules outside that it names, the versions of Python, Numba,
llvmlite and NumPy, the processor, and the settings of Numba that change code.  The key and a
checksum stand in the file as well, so that a damaged or foreign file is not run.  Files are
replaced atomically and never changed.  Code is filed only if the sources on disk are still those in
memory.

One process compiles a program, others wait for it at a lock file beside the object file.  The
system releases the lock when its holder ends, however that ends.  A race for the lock costs a
second compilation, nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .sources import IMPORTED, PACKAGE, unchanged
from .target import target

MAGIC = b"rnn_fast program 1\n"
#: variables of Numba that change the code of a kernel; `target` reads two more
SETTINGS = (
    "NUMBA_OPT",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_SLP_VECTORIZE",
    "NUMBA_BOUNDSCHECK",
    "NUMBA_DEBUGINFO",
    "NUMBA_EXTEND_VARIABLE_LIFETIMES",
    "NUMBA_ENABLE_AVX",
    "NUMBA_ENABLE_PROFILING",
)


def settings() -> dict[str, str]:
    """Return Numba's settings that change code, from the environment and a configuration file."""
    chosen = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    file = Path(".numba_config.yaml")
    if file.is_file():
        chosen[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return chosen


@functools.cache
def stamp() -> str:
    """Return everything that shapes the code of every program, as text."""
    from importlib.metadata import version  # 40 ms that an import without a fit need not pay

    versions = {name: version(name) for name in ("numba", "llvmlite", "numpy")}
    return json.dumps([IMPORTED, sys.version, versions, target(), settings()], sort_keys=True)


def cache_directories() -> Iterator[Path]:
    """Yield the folders for programs: the first that can be written is used, else memory only."""
    chosen = os.environ.get("RNN_FAST_CACHE_DIR")
    if chosen:
        yield Path(chosen)
        return
    yield PACKAGE / "__pycache__" / "programs"
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        yield home / "rnn_fast"
    except RuntimeError:  # no home directory
        pass
    if hasattr(os, "getuid"):
        yield Path(tempfile.gettempdir()) / f"rnn_fast-{os.getuid()}"


def is_private(directory: Path) -> bool:
    """Return whether only this user (or root) can put code there: it will be run."""
    if not hasattr(os, "getuid"):
        return True
    info = directory.stat()
    return info.st_uid in (0, os.getuid()) and not info.st_mode & 0o022


def _key(name: str) -> bytes:
    return json.dumps([name, stamp()]).encode()


def file_of(directory: Path, name: str) -> Path:
    """Return the file of program `name`."""
    return directory / (hashlib.sha256(_key(name)).hexdigest()[:32] + ".o")


def read_cache(name: str) -> bytes | None:
    """Return the object code kept for program `name`, if any is whole."""
    head = MAGIC + hashlib.sha256(_key(name)).digest()
    for directory in cache_directories():
        try:
            data = file_of(directory, name).read_bytes() if is_private(directory) else b""
        except OSError:
            continue
        code = data[len(head) + 32 :]
        if data[: len(head) + 32] == head + hashlib.sha256(code).digest():
            return code
    return None


def _writable() -> Iterator[Path]:
    """Yield the private folders, made if need be."""
    for directory in cache_directories():
        with contextlib.suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if is_private(directory):
                yield directory


def write_cache(name: str, code: bytes) -> Path | None:
    """Keep `code` for program `name` in the first folder that takes it.

    Nothing is kept if the sources on disk are no longer those in memory.
    """
    if not unchanged():
        return None
    data = MAGIC + hashlib.sha256(_key(name)).digest() + hashlib.sha256(code).digest() + code
    for directory in _writable():
        try:
            handle, temporary = tempfile.mkstemp(dir=directory, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(temporary, file_of(directory, name))
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            return file_of(directory, name)
        except OSError:
            continue
    return None


def _wait_for(file: Any) -> None:
    """Lock an open file, or wait for the process that has locked it."""
    if sys.platform == "win32":
        import msvcrt

        while True:
            with contextlib.suppress(OSError):  # after ten seconds it gives up
                return msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def sole_compiler(name: str) -> Iterator[None]:
    """Hold the lock of program `name`; go on without one where locks cannot be had."""
    with contextlib.ExitStack() as stack:
        path: Path | None = None
        for directory in _writable():
            try:
                path = file_of(directory, name).with_suffix(".lock")
                _wait_for(stack.enter_context(open(path, "ab")))
                break
            except OSError:
                path = None
        try:
            yield
        finally:
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink()
