"""The disk cache of compiled programs: one file of object code each.

Plain ``njit(cache=True)`` was seen to run old code after an edit of a function that the cached one
calls, to mix up files of two processes that write at once, to fail at import on a read-only
install, and to ignore bounds checking in its key.  It also needs Numba imported (0.6 s) to load
anything.  So this cache holds less: the machine code of one C function that calls nothing outside
itself.  Loading needs no Numba and no unpickling; llvmlite only tells the name of the processor.

The name of a file is a hash of everything that shapes its code: the program's name, the sources of
the compiled floors (`sources`) and of modules outside that it names, the versions of Python, Numba,
llvmlite and NumPy, the processor, and the settings of Numba that change code.  The key and a
checksum stand in the file as well, so that a damaged or foreign file is not run.  Files are
replaced atomically and never changed.  Folders are read if only this user and root can change them
(`trust`).  One process compiles a program, others wait for it at a lock file beside the object file
(`locks`).  Programs that nobody uses are cleared away (`clearing`).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from ..errors import CacheWarning
from .clearing import clear
from .folders import Folder
from .locks import locked
from .sources import PACKAGE, imported
from .target import target

MAGIC = b"rnn_fast program 1\n"
#: object code that another process sent, by the name of its file: other code has another name
RECEIVED: dict[str, bytes] = {}
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
    import hashlib

    chosen = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    file = Path(".numba_config.yaml")
    if file.is_file():
        chosen[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return chosen


def numba_version() -> str:
    """Return Numba's version, without an import of Numba (0.6 s) if a file of it says so.

    Package metadata may be missing in frozen applications, and takes 40 ms to read.
    """
    spec = None if "numba" in sys.modules else importlib.util.find_spec("numba")
    for folder in (spec and spec.submodule_search_locations) or ():
        with contextlib.suppress(OSError):
            text = Path(folder, "_version.py").read_text(encoding="utf-8")
            if found := re.search(r'"version": "([^"]+)"', text):
                return found[1]
    return importlib.import_module("numba").__version__


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that compile, as far as they are installed."""
    import numpy

    if not can_compile():
        return {"numpy": numpy.__version__}
    import llvmlite

    return {
        "numba": numba_version(),
        "llvmlite": llvmlite.__version__,
        "numpy": numpy.__version__,
    }


@functools.cache
def can_compile() -> bool:
    """Return whether Numba and its LLVM are installed."""
    try:
        return all(importlib.util.find_spec(name) for name in ("numba", "llvmlite"))
    except ImportError:  # of an importer that refuses them
        return False


@functools.cache
def stamp() -> str:
    """Return everything that shapes the code of every program, as text."""
    return json.dumps([imported(), sys.version, versions(), target(), settings()], sort_keys=True)


def cache_directories() -> Iterator[str]:
    """Yield the folders for programs: the first that can be written is used, else memory only.

    The folder in the shared temporary directory is the last resort of containers that run under a
    number without a home.  It is checked like any other, so another user can make it useless but
    nothing worse.
    """
    import tempfile

    chosen = os.environ.get("RNN_FAST_CACHE_DIR")
    if chosen:
        yield os.path.expanduser(chosen)
        return
    yield str(PACKAGE / "__pycache__" / "programs")
    caches = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(caches):  # to be ignored then, says its specification
        caches = os.path.expanduser("~/.cache")
    if os.path.isabs(caches):  # else there is no home
        yield os.path.join(caches, "rnn_fast")
    if hasattr(os, "geteuid"):
        yield os.path.join(tempfile.gettempdir(), f"rnn_fast-{os.geteuid()}")


def _key(name: str) -> bytes:
    import hashlib

    return hashlib.sha256(json.dumps([name, stamp()]).encode()).digest()


def file_of(name: str) -> str:
    """Return the name of the file of program `name`."""
    return f"{_key(name).hex()[:32]}.o"


def read_cache(name: str) -> bytes | None:
    """Return the object code received or kept for program `name`, if any is whole."""
    import hashlib

    if (received := RECEIVED.get(file_of(name))) is not None:
        return received
    head = MAGIC + _key(name)
    for directory in cache_directories():
        try:
            with Folder(directory) as folder:
                data = folder.read(file_of(name))
        except OSError:
            continue
        code = data[len(head) + 32 :]
        if data[: len(head) + 32] == head + hashlib.sha256(code).digest():
            return code
    return None


def receive(code: dict[str, bytes]) -> None:
    """Let this process use the object code that `loaded_code` returned in another."""
    RECEIVED.update(code)


def write_cache(name: str, code: bytes) -> str:
    """Keep `code` for program `name` in the first folder that takes it.

    Returns
    -------
    trouble : str
        Why the code is kept nowhere, and the remedy; empty if it is kept.
    """
    import hashlib

    numba = sys.modules.get("numba")
    if numba is not None and numba.__version__ != versions()["numba"]:
        return "Numba was upgraded after this process had begun; restart it"
    data = MAGIC + _key(name) + hashlib.sha256(code).digest() + code
    refusals = []
    for directory in cache_directories():
        try:
            with Folder(directory, create=True) as folder:
                folder.write(file_of(name), data)
                with contextlib.suppress(OSError):
                    clear(folder)
            return ""
        except OSError as error:
            refusals.append(f"{directory}: {error.strerror or error}")
    return (
        f"{'; '.join(refusals)}.  Set RNN_FAST_CACHE_DIR to a folder that you can write to and "
        "other users cannot (chmod go-w)"
    )


_is_warned = False


def warn_of(trouble: str) -> None:
    """Warn once per process that programs are not kept, if there is trouble."""
    global _is_warned
    if trouble and not _is_warned:
        _is_warned = True
        warnings.warn(
            "compiled programs are not kept, so every process compiles for some seconds: "
            + trouble,
            CacheWarning,
            stacklevel=2,
        )


@contextlib.contextmanager
def sole_compiler(name: str) -> Iterator[None]:
    """Hold the lock of program `name`; go on without one where locks cannot be had."""
    lock = file_of(name).removesuffix(".o") + ".lock"
    with contextlib.ExitStack() as stack:
        for directory in cache_directories():
            with contextlib.suppress(OSError):
                folder = stack.enter_context(Folder(directory, create=True))
                stack.enter_context(locked(folder, lock))
                break
        yield
