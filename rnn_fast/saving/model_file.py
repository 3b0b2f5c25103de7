"""The model file: safetensors, with a header that says what it holds and whether it is whole.

The header's metadata, all strings as safetensors demands::

    format        "rnn_fast"
    version       "1"
    architecture  JSON object: the cell and the arguments that make such a model
    training      JSON object, in a checkpoint only: see `checkpoint`
    sha256        of the whole file, with these 64 digits written as zeros

The arrays of a training are named ``training.*``.

So every byte is covered, the header and the digest's own place included, and a reader needs
nothing but this definition.  No pickle, nothing in the file is ever run.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelFileError

FORMAT, VERSION = "rnn_fast", "1"
BLANK = "0" * 64
TRAINING = "training."


def write(
    path: str | os.PathLike[str],
    architecture: Mapping[str, Any],
    parameters: Mapping[str, np.ndarray],
    training: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    keep: str | None = None,
) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path : path
        Replaced if it exists, keeping a symbolic link in place.
    architecture : mapping
        What JSON can hold.
    parameters : mapping
        Name to array, float32 or float64.
    training, arrays : mapping, optional
        Of a checkpoint: what JSON can hold, and name to array.
    keep : path, optional
        Where to keep the file that is replaced.

    Raises
    ------
    OSError
        The file cannot be written; an old one is then untouched.
    """
    beside = {TRAINING + name: array for name, array in (arrays or {}).items()}
    content = _encode(architecture, {**parameters, **beside}, training)
    target = Path(os.path.realpath(path))
    scratch = _scratch(target)
    try:
        with open(scratch, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and target.exists():
            _copy(target, Path(keep))
        os.replace(scratch, target)
        _sync_folder(target.parent)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _scratch(target: Path) -> Path:
    """A name beside `target` that nobody has."""
    return target.with_name(f".{target.name}.{os.urandom(8).hex()}")


def clear(path: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while they wrote a file have left beside it."""
    target = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        for file in target.parent.glob(f".{glob.escape(target.name)}.*"):
            if re.fullmatch("[0-9a-f]{16}", file.name.rpartition(".")[2]):
                file.unlink()


def _copy(file: Path, to: Path) -> None:
    """Give `file` a second name, at once and in place of what had it; the file stays."""
    scratch = _scratch(to)
    try:
        try:
            os.link(file, scratch)
        except OSError:  # no links here
            shutil.copyfile(file, scratch)
        os.replace(scratch, to)
    finally:  # a new name is not taken away where both are the same file already
        scratch.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make new names last, where the system can: a folder cannot be opened everywhere."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the architecture and the parameters that `write` wrote; see `read_all`."""
    return read_all(path)[:2]


def read_all(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, Any], dict[str, np.ndarray]]:
    """Return the architecture, the parameters, and what there is of a training, that was written.

    Raises
    ------
    ModelFileError
        Not a model file, of another version, or damaged: any byte changed, missing or added.
    OSError
        The file cannot be read; `FileNotFoundError` if there is none.
    """
    content = Path(path).read_bytes()
    try:
        return _decode(content)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from error.__cause__


def check_same(
    path: str | os.PathLike[str],
    found: Mapping[str, np.ndarray],
    wanted: Mapping[str, np.ndarray],
) -> None:
    """Check that the arrays of a file have the names, shapes and dtypes that are wanted.

    Raises
    ------
    ModelFileError
        They do not.
    """
    kinds = ({name: (a.shape, a.dtype) for name, a in own.items()} for own in (found, wanted))
    if next(kinds) != next(kinds):
        raise ModelFileError(f"{os.fspath(path)}: its parameters do not fit its architecture")


def _encode(
    architecture: Mapping[str, Any],
    named: Mapping[str, np.ndarray],
    training: Mapping[str, Any] | None = None,
) -> bytes:
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": json.dumps(architecture),
        "sha256": BLANK,
    }
    if training is not None:
        metadata["training"] = json.dumps(training)
    arrays = {name: np.ascontiguousarray(array) for name, array in named.items()}
    blank = save(arrays, metadata)
    digest = hashlib.sha256(blank).hexdigest()
    header = _header_size(blank)
    return blank[:header].replace(BLANK.encode(), digest.encode()) + blank[header:]


def _decode(
    content: bytes,
) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, Any], dict[str, np.ndarray]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    metadata = _metadata(content)
    if metadata.get("format") != FORMAT:
        raise ModelFileError("not a model of rnn_fast")
    if metadata.get("version") != VERSION:
        raise ModelFileError(
            f"written in version {metadata.get('version')!r} of the format; this rnn_fast reads "
            f"version {VERSION!r}"
        )
    _check_digest(content, metadata.get("sha256"))
    try:
        architecture, named = json.loads(metadata["architecture"]), load(content)
        training = json.loads(metadata.get("training", "{}"))
    except (KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:
        raise ModelFileError("damaged: its content makes no sense") from error
    if not (isinstance(architecture, dict) and isinstance(training, dict)):
        raise ModelFileError("damaged: its architecture is no JSON object")
    parameters = {name: array for name, array in named.items() if not name.startswith(TRAINING)}
    cut = len(TRAINING)
    arrays = {name[cut:]: array for name, array in named.items() if name.startswith(TRAINING)}
    return architecture, parameters, training, arrays


def _header_size(content: bytes) -> int:
    """Bytes before the tensors: the length of the JSON header and the header."""
    return 8 + int.from_bytes(content[:8], "little")


def _metadata(content: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(content[8 : _header_size(content)])["__metadata__"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError("not a safetensors file with metadata, or damaged") from error


def _check_digest(content: bytes, digest: Any) -> None:
    size = _header_size(content)
    header = content[:size]
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ModelFileError("damaged: it has no checksum")
    whole = hashlib.sha256(header.replace(digest.encode(), BLANK.encode()))
    whole.update(memoryview(content)[size:])
    if whole.hexdigest() != digest:
        raise ModelFileError("damaged: its content does not fit its checksum")
