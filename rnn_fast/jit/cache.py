"""The disk cache of compiled programs: files of object code, under a key of all that shapes it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .target import target

PACKAGE = Path(__file__).parent.parent
MAGIC = b"rnn_fast program 1\n"


def _settings() -> dict[str, str]:
    """Numba's settings, from the environment and from a configuration file."""
    found = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith("NUMBA_") and not name.startswith("NUMBA_CACHE")
    }
    file = Path(".numba_config.yaml")
    if file.is_file():
        found[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


@functools.cache
def stamp() -> str:
    """Everything that shapes the code of every program, as text."""
    from importlib.metadata import version  # 40 ms that an import without a fit need not pay

    sources = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.relative_to(PACKAGE).parts[0] == "bench":  # measures, and is nothing of a program
            continue
        sources.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0")
        sources.update(file.read_bytes() + b"\0")
    versions = {name: version(name) for name in ("numba", "llvmlite", "numpy")}
    return json.dumps(
        [sources.hexdigest(), sys.version, versions, target(), _settings()], sort_keys=True
    )


def cache_directories() -> Iterator[Path]:
    """Where programs are kept: the first that can be written, or else memory only."""
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


def _ours(directory: Path) -> bool:
    """Whether nobody but this user (or root) can put code there: it will be run."""
    if not hasattr(os, "getuid"):
        return True
    info = directory.stat()
    return info.st_uid in (0, os.getuid()) and not info.st_mode & 0o022


def _key(name: str) -> bytes:
    return json.dumps([name, stamp()]).encode()


def _file(directory: Path, name: str) -> Path:
    return directory / (hashlib.sha256(_key(name)).hexdigest()[:32] + ".o")


def read_cache(name: str) -> bytes | None:
    """The object code kept for program `name`, if any is whole."""
    head = MAGIC + hashlib.sha256(_key(name)).digest()
    for directory in cache_directories():
        try:
            data = _file(directory, name).read_bytes() if _ours(directory) else b""
        except OSError:
            continue
        code = data[len(head) + 32 :]
        if data[: len(head) + 32] == head + hashlib.sha256(code).digest():
            return code
    return None


def write_cache(name: str, code: bytes) -> Path | None:
    """Keep `code` for program `name` in the first directory that takes it."""
    data = MAGIC + hashlib.sha256(_key(name)).digest() + hashlib.sha256(code).digest() + code
    for directory in cache_directories():
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not _ours(directory):
                continue
            handle, temporary = tempfile.mkstemp(dir=directory, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(temporary, _file(directory, name))
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            return _file(directory, name)
        except OSError:
            continue
    return None
