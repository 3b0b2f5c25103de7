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
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .. import validation
from ..data.checks import all_finite
from ..errors import ModelFileError
from . import files, strict_json

FORMAT, VERSION = "rnn_fast", "1"
BLANK = "0" * 64
TRAINING = "training."
DTYPES: dict[str, np.dtype] = {"F32": np.dtype(np.float32), "F64": np.dtype(np.float64)}
HEADER_LIMIT = 100_000_000  #: bytes, as in safetensors' own readers
CHUNK = 1 << 20  #: bytes read at a time of what is checked, but not kept


class Tensor(NamedTuple):
    """An entry of the header."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int  #: first byte, behind the header
    stop: int


# -------------------------------------------------------------------------------------- writing


def write(
    path: str | os.PathLike[str],
    architecture: Mapping[str, Any],
    parameters: Mapping[str, np.ndarray],
    training: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    keep: str | None = None,
    system: files.Files = files.FILES,
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
    system : Files
        Calls of the operating system.

    Raises
    ------
    TypeError, ValueError
        `path` is no path.  A parameter is not finite.
    OSError
        The file cannot be written; an old file is then untouched.
    """
    path = validation.path("path", path)
    for name, array in parameters.items():
        if not all_finite(array):
            raise ValueError(f"{name} has NaN or infinite numbers; such a model is not saved")
    files.replace(path, encode(architecture, parameters, training, arrays), keep, system)


def encode(
    architecture: Mapping[str, Any],
    parameters: Mapping[str, np.ndarray],
    training: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """Return the bytes of a model file; arguments as for `write`."""
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": json.dumps(architecture),
        "sha256": BLANK,
    }
    if training:
        metadata["training"] = json.dumps(training, default=_item)
    named = {**parameters, **{TRAINING + name: array for name, array in (arrays or {}).items()}}
    blank = save({name: np.ascontiguousarray(array) for name, array in named.items()}, metadata)
    digest, size = hashlib.sha256(blank).hexdigest(), header_size(blank)
    return blank[:size].replace(BLANK.encode(), digest.encode()) + blank[size:]


def _item(value: Any) -> Any:
    """Return a number of NumPy, such as a factor that the user chose, as a number of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no value of JSON")


def header_size(data: bytes) -> int:
    """Return the number of bytes before the tensors: of the header's length and the header."""
    return 8 + int.from_bytes(data[:8], "little")


# -------------------------------------------------------------------------------------- reading


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[ModelFile]:
    """Open a model file, and read its header.

    Raises
    ------
    ModelFileError
        The file is no model file, of another version, or damaged.  Such errors of the block, too,
        are raised with the path before their message.
    TypeError, ValueError
        `path` is no path.
    OSError
        The file cannot be read, or is no regular file; `FileNotFoundError` if there is none.
    """
    path = validation.path("path", path)
    with open(files.open_regular(path), "rb") as file:
        try:
            yield ModelFile(file, os.fstat(file.fileno()).st_size)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error.__cause__


class ModelFile:
    """An open model file, whose header has been read; the arrays have not.

    Nothing is larger than the header says, whose size and sum of sizes are bounded by the file's.

    Parameters
    ----------
    file : binary file
        At its beginning.
    size : int
        Bytes of the file.

    Attributes
    ----------
    architecture : dict
        Arguments that make the model, as they are in the file.
    training : str
        JSON of the state of a training, or "".
    parameters, arrays : dict of str to Tensor
        Entries of the header, of the model and of a training.

    Raises
    ------
    ModelFileError
        As `reading` says.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, HEADER_LIMIT):
            raise ModelFileError("not a safetensors file with metadata, or damaged")
        text = file.read(length)
        metadata, named = _header(text)
        self._file, self._digest = file, metadata.get("sha256", "")
        if not re.fullmatch("[0-9a-f]{64}", self._digest):
            raise ModelFileError("damaged: it has no checksum")
        blank = text.replace(self._digest.encode(), BLANK.encode())
        self._hash = hashlib.sha256(start + blank)
        try:
            self.architecture = strict_json.read(metadata["architecture"])
            tensors = {name: _tensor(value) for name, value in named.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError("damaged: its header makes no sense") from error
        if not isinstance(self.architecture, dict):
            raise ModelFileError("damaged: its architecture is no JSON object")
        self._tensors = _in_order(tensors, size - 8 - length)
        self.training = metadata.get("training", "")
        self.parameters = {k: v for k, v in tensors.items() if not k.startswith(TRAINING)}
        self.arrays = {
            name.removeprefix(TRAINING): tensor
            for name, tensor in tensors.items()
            if name.startswith(TRAINING)
        }

    def expect(self, expected: Mapping[str, np.ndarray]) -> None:
        """Check that the parameters have the names, shapes and dtypes of the expected ones.

        Raises
        ------
        ModelFileError
            A name, a shape or a dtype differs.
        """
        kinds = {name: (array.dtype, array.shape) for name, array in expected.items()}
        if {name: tensor[:2] for name, tensor in self.parameters.items()} != kinds:
            raise ModelFileError("its parameters do not fit its architecture")

    def read(self, is_checkpoint: bool = False) -> dict[str, np.ndarray]:
        """Return the arrays: the parameters and, of a checkpoint, those named ``training.*``.

        Raises
        ------
        ModelFileError
            The file does not fit its checksum, or a parameter is not finite.
        """
        found: dict[str, np.ndarray] = {}
        for name, tensor in self._tensors.items():
            if is_checkpoint or name in self.parameters:
                found[name] = np.empty(tensor.shape, tensor.dtype)
                self._fill(found[name].reshape(-1).view(np.uint8).data)
            else:
                self._skip(tensor.stop - tensor.start)
        if self._hash.hexdigest() != self._digest:
            raise ModelFileError("damaged: its content does not fit its checksum")
        for name in self.parameters:
            if not all_finite(found[name]):
                raise ModelFileError(f"{name} has NaN or infinite numbers")
        return found

    def _fill(self, buffer: memoryview) -> None:
        """Read bytes of the file, and add them to the digest."""
        if self._file.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
            raise ModelFileError("damaged: it became shorter while it was read")
        self._hash.update(buffer)

    def _skip(self, n: int) -> None:
        buffer = memoryview(bytearray(min(n, CHUNK)))
        for start in range(0, n, CHUNK):
            self._fill(buffer[: n - start])


def _header(text: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the metadata and the entries of a header, if it is of this format and version."""
    try:
        named = dict(strict_json.read(text))
        metadata = dict(named.pop("__metadata__"))
        if not all(isinstance(value, str) for value in metadata.values()):
            raise TypeError
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError("not a safetensors file with metadata, or damaged") from error
    if metadata.get("format") != FORMAT:
        raise ModelFileError("not a model of rnn_fast")
    if metadata.get("version") != VERSION:
        raise ModelFileError(
            f"written in version {metadata.get('version')!r} of the format; this rnn_fast reads "
            f"version {VERSION!r}"
        )
    return metadata, named


def _tensor(entry: Any) -> Tensor:
    """Return an entry of the header, after checks of its types and sizes."""
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    sizes = [*shape, *offsets]
    if len(entry) != 3 or kind not in DTYPES or len(shape) > 2 or len(offsets) != 2:
        raise ValueError("an entry with other fields")
    if not all(type(size) is int and 0 <= size < 2**63 for size in sizes):
        raise ValueError("a size that is none")
    tensor = Tensor(DTYPES[kind], tuple(shape), *offsets)
    if tensor.stop - tensor.start != math.prod(shape) * tensor.dtype.itemsize:
        raise ValueError("a shape that does not fit its bytes")
    return tensor


def _in_order(tensors: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
    """Return the entries by their place, if they fill `size` bytes without gap or overlap."""
    ordered = dict(sorted(tensors.items(), key=lambda item: item[1][2:]))
    at = 0
    for tensor in ordered.values():
        if tensor.start != at:
            raise ModelFileError("damaged: its tensors overlap or leave a gap")
        at = tensor.stop
    if at != size:
        raise ModelFileError(f"damaged: it has {size} bytes of tensors, and its header {at}")
    return ordered
