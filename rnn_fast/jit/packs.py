"""Packs: the programs of one level in one file, as wheels bring them.

A group is one image with the programs of all cells, or of all optimizers, for one dtype and tile:
they share the kernels that do not depend on the cell.  Groups of all tiles are compressed together,
since they are alike.  A manifest at the front names the sources and versions that the programs were
made from; of other sources a pack is not used.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MAGIC = b"rnn_fast pack 1\n"
_LENGTH = struct.Struct("<I")
FOLDER = Path(__file__).parent / "machine_code"  #: of the wheel


def path_of(level: str) -> Path:
    """Return the file of a level's pack, in the folder ``RNN_FAST_PACKS`` or in the wheel's."""
    return Path(os.environ.get("RNN_FAST_PACKS") or FOLDER) / f"{level}.pack"


def write_pack(
    path: Path, manifest: Mapping[str, Any], streams: Iterable[Mapping[str, bytes]]
) -> None:
    """Write a pack.

    Parameters
    ----------
    manifest : mapping
        In terms of JSON.
    streams : iterable of mappings
        Groups by name, as packed images, in the order in which they are compressed together.
    """
    import lzma

    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    about, blobs = [], []
    for groups in streams:
        blob = lzma.compress(b"".join(groups.values()), check=lzma.CHECK_SHA256, filters=filters)
        sizes = {name: len(data) for name, data in groups.items()}
        about.append({"bytes": len(blob), "groups": sizes})
        blobs.append(blob)
    head = lzma.compress(json.dumps({**manifest, "streams": about}).encode())
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(b"".join([MAGIC, _LENGTH.pack(len(head)), head, *blobs]))
    os.replace(temporary, path)


class Pack:
    """A pack that is read as its programs are asked for.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    manifest : dict

    Raises
    ------
    OSError
        There is no such file.
    ValueError
        It is no pack, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError(f"{path} is no pack of programs")
            (size,) = _LENGTH.unpack(file.read(_LENGTH.size))
            self.manifest: dict[str, Any] = json.loads(self._whole(file.read(size)))
        at = len(MAGIC) + _LENGTH.size + size
        self._last = 0, b""
        self._streams: dict[str, tuple[int, int, dict[str, int]]] = {}
        for stream in self.manifest.pop("streams"):
            place = (at, stream["bytes"], stream["groups"])
            self._streams |= dict.fromkeys(stream["groups"], place)
            at += stream["bytes"]

    def __contains__(self, name: str) -> bool:
        return name in self._streams

    @property
    def groups(self) -> list[str]:
        """Names of all groups."""
        return list(self._streams)

    def group(self, name: str) -> bytes:
        """Return a group, as `Image.packed` wrote it."""
        at, size, groups = self._streams[name]
        if self._last[0] != at:  # the programs that train and predict lie together
            with open(self.path, "rb") as file:
                file.seek(at)
                self._last = at, self._whole(file.read(size))
        data = self._last[1]
        for each, length in groups.items():
            if each == name:
                return data[:length]
            data = data[length:]
        raise KeyError(name)

    def _whole(self, data: bytes) -> bytes:
        """Return decompressed data."""
        import lzma

        try:
            return lzma.decompress(data)
        except (lzma.LZMAError, EOFError) as error:
            raise ValueError(f"{self.path} is damaged ({error}): install rnn_fast again") from error
