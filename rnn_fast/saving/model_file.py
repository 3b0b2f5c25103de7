"""The model file: safetensors, with metadata that describe the model and prove the file whole.

The metadata are strings, as safetensors requires::

    format        "rnn_fast"
    version       "1"
    architecture  JSON object: the cell and the arguments that make such a model
    training      JSON object, in a checkpoint only: see `checkpoint`
    sha256        of the whole file, with these 64 digits written as zeros

The digest covers every byte, the header included.  The arrays of a training are named
``training.*``.  There is no pickle: nothing in the file is ever run.
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
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFileError

FORMAT, VERSION = "rnn_fast", "1"
BLANK = "0" * 64
TRAINING = "training."


class Content(NamedTuple):
    """Content of a model file."""

    architecture: Mapping[str, Any]  #: arguments that make the model
    parameters: Mapping[str, np.ndarray]
    training: Mapping[str, Any]  #: state of a training, in a checkpoint; else empty
    arrays: Mapping[str, np.ndarray]  #: of the training


# ---------------------------------------------------------------------------------------- files


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
        Values that JSON can hold.
    parameters : mapping
        Name to array, float32 or float64.
    training, arrays : mapping, optional
        State of a training, for a checkpoint: values that JSON can hold, and name to array.
    keep : path, optional
        New name of the file that is replaced.

    Raises
    ------
    OSError
        The file cannot be written; an old file is then untouched.
    """
    data = encode(Content(architecture, parameters, training or {}, arrays or {}))
    target = Path(os.path.realpath(path))
    scratch = _scratch(target)
    try:
        with open(scratch, "xb") as file:
            file.write(data)
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
    """Return an unused name beside `target`."""
    return target.with_name(f".{target.name}.{os.urandom(8).hex()}")


def clear(path: str | os.PathLike[str]) -> None:
    """Remove the scratch files of processes that were killed while they wrote a file."""
    target = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        for file in target.parent.glob(f".{glob.escape(target.name)}.*"):
            if re.fullmatch("[0-9a-f]{16}", file.name.rpartition(".")[2]):
                file.unlink()


def _copy(file: Path, to: Path) -> None:
    """Give `file` a second name, in place of a file that has it, in one step."""
    scratch = _scratch(to)
    try:
        try:
            os.link(file, scratch)
        except OSError:  # a file system without links
            shutil.copyfile(file, scratch)
        os.replace(scratch, to)
    finally:  # `replace` leaves the scratch name where both names are of the same file already
        scratch.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to disk, where the system can open a folder."""
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
    """Return the architecture and the parameters in a model file; see `read_all`."""
    content = read_all(path)
    return dict(content.architecture), dict(content.parameters)


def read_all(path: str | os.PathLike[str]) -> Content:
    """Return the content of a model file.

    Raises
    ------
    ModelFileError
        The file is no model file, of another version, or damaged: a byte changed, missing or added.
    OSError
        The file cannot be read; `FileNotFoundError` if there is none.
    """
    data = Path(path).read_bytes()
    try:
        return decode(data)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from error.__cause__


def check_same(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
) -> None:
    """Check that the arrays of a file have the names, shapes and dtypes of the expected ones.

    Raises
    ------
    ModelFileError
        A name, a shape or a dtype differs.
    """
    if _kinds(arrays) != _kinds(expected):
        raise ModelFileError(f"{os.fspath(path)}: its parameters do not fit its architecture")


def _kinds(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return the shape and the dtype of each array."""
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}


# ---------------------------------------------------------------------------------------- bytes


def encode(content: Content) -> bytes:
    """Return the bytes of a model file."""
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": json.dumps(content.architecture),
        "sha256": BLANK,
    }
    if content.training:
        metadata["training"] = json.dumps(content.training)
    arrays = {TRAINING + name: array for name, array in content.arrays.items()}
    named = {**content.parameters, **arrays}
    blank = save({name: np.ascontiguousarray(array) for name, array in named.items()}, metadata)
    digest = hashlib.sha256(blank).hexdigest()
    size = header_size(blank)
    return blank[:size].replace(BLANK.encode(), digest.encode()) + blank[size:]


def decode(data: bytes) -> Content:
    """Return the content that `encode` made bytes of.

    Raises
    ------
    ModelFileError
        The bytes are no model file, of another version, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    metadata = _metadata(data)
    if metadata.get("format") != FORMAT:
        raise ModelFileError("not a model of rnn_fast")
    if metadata.get("version") != VERSION:
        raise ModelFileError(
            f"written in version {metadata.get('version')!r} of the format; this rnn_fast reads "
            f"version {VERSION!r}"
        )
    _check_digest(data, metadata.get("sha256"))
    try:
        architecture, named = json.loads(metadata["architecture"]), load(data)
        training = json.loads(metadata.get("training", "{}"))
    except (KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:
        raise ModelFileError("damaged: its content makes no sense") from error
    if not (isinstance(architecture, dict) and isinstance(training, dict)):
        raise ModelFileError("damaged: its architecture is no JSON object")
    parameters = {name: array for name, array in named.items() if not name.startswith(TRAINING)}
    arrays = {
        name.removeprefix(TRAINING): array
        for name, array in named.items()
        if name.startswith(TRAINING)
    }
    return Content(architecture, parameters, training, arrays)


def header_size(data: bytes) -> int:
    """Return the number of bytes before the tensors: of the header's length and the header."""
    return 8 + int.from_bytes(data[:8], "little")


def _metadata(data: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(data[8 : header_size(data)])["__metadata__"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError("not a safetensors file with metadata, or damaged") from error


def _check_digest(data: bytes, digest: Any) -> None:
    size = header_size(data)
    header = data[:size]
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ModelFileError("damaged: it has no checksum")
    blank = hashlib.sha256(header.replace(digest.encode(), BLANK.encode()))
    blank.update(memoryview(data)[size:])
    if blank.hexdigest() != digest:
        raise ModelFileError("damaged: its content does not fit its checksum")
