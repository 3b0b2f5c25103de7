"""A fingerprint of the sources that programs are compiled from.

The fingerprint is that of the files when the package was imported, so it belongs to the code in
memory.  Kernels are imported later, by the first compilation; an upgrade may have replaced them
meanwhile, and they would read records of the old layout.  `check_memory` then raises.  Sources are
read by their files, or through the importer of a zip file; an install without sources has its
``.pyc`` files read.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent
#: folders whose code shapes programs; imports point down, so nothing else does
FLOORS = ("jit", "simd", "cells", "losses", "optimizers", "layout", "kernels")


_CHANGED = (
    "the files of rnn_fast were changed (an upgrade, an edit) after this process imported it, and "
    "what it needs now would not fit what it has in memory: restart the process"
)


def _files(folder: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the modules below a folder, in the order of their names."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{name}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _files(entry, path)
        elif entry.name.endswith((".py", ".pyc")):
            yield path, entry


def _package() -> Any:
    """The package's folder, or its like in a zip file."""
    if PACKAGE.is_dir():
        return PACKAGE
    from importlib.resources import files

    return files(__package__.partition(".")[0])


def fingerprint() -> str:
    """Return a hash of the sources of all compiled floors, as they are now."""
    import hashlib

    digest = hashlib.sha256()
    for floor in FLOORS:
        for name, file in _files(_package() / floor, floor):
            digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _state() -> Any:
    """Return what changes when a source does: reading all takes 7 ms, asking for this 1 ms."""
    if not PACKAGE.is_dir():
        return fingerprint()
    folders = [PACKAGE / floor for floor in FLOORS]
    found: list[tuple[str, int, int, int]] = []
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.name != "__pycache__":
                        folders.append(Path(entry.path))
                elif entry.name.endswith((".py", ".pyc")):
                    info = entry.stat()
                    found.append((entry.path, info.st_mtime_ns, info.st_size, info.st_ino))
    return sorted(found)


_STATE = _state()  #: of the code in memory
IMPORT_TIME = time.time()  #: of `_STATE`, in seconds


@functools.cache
def imported() -> str:
    """Return the fingerprint of the code in memory.

    Raises
    ------
    RuntimeError
        The files are no longer those that this process imported.
    """
    digest = fingerprint()
    if _state() != _STATE:
        raise RuntimeError(_CHANGED)
    return digest


def unchanged() -> bool:
    """Return whether the sources on disk are those of the code in memory."""
    try:
        return _state() == _STATE or fingerprint() == imported()
    except OSError:  # in the midst of an upgrade
        return False


_checked: set[str] = set()  #: modules of the compiled floors that `imported` is about


def check_memory() -> None:
    """Make sure that the compiled floors in memory are the ones that `imported` is about.

    Raises
    ------
    RuntimeError
        A module was imported, and the files on disk are no longer the same.
    """
    floors = tuple(f"{__package__.partition('.')[0]}.{floor}." for floor in FLOORS)
    new = {name for name in list(sys.modules) if name.startswith(floors)} - _checked
    if not new:
        return
    if not unchanged():
        raise RuntimeError(_CHANGED)
    _checked.update(new)


def edited(modules: list[str]) -> str:
    """Return which module outside the compiled floors is newer than this process, or "".

    A module in memory may then be older than its file, whose fingerprint it would get.
    """
    for module in modules:
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is not None and _changed(file) > IMPORT_TIME:
            return f"{file} was edited after this process had begun; restart it"
    return ""


def _changed(file: str) -> float:
    """Return the time of a file's last change, in seconds."""
    try:
        info = os.stat(file)
    except OSError:  # in a zip file
        return 0.0
    return max(info.st_mtime, info.st_ctime)


@functools.cache
def module_fingerprint(module: str) -> str:
    """Return a hash of the source, or the code, of a module outside the compiled floors.

    Raises
    ------
    ImportError
        There is no such module, or its importer cannot give its source.
    """
    import hashlib

    loaded = sys.modules.get(module)
    spec = loaded.__spec__ if loaded else importlib.util.find_spec(module)
    script = getattr(loaded, "__file__", None)
    if spec is None and script is not None:  # ``python script.py`` has no spec
        return hashlib.sha256(Path(script).read_bytes()).hexdigest()
    read = getattr(spec and spec.loader, "get_data", None)
    if spec is None or spec.origin is None or read is None:
        raise ImportError(f"the source of {module} cannot be read, to key compiled code by it")
    return hashlib.sha256(read(spec.origin)).hexdigest()
