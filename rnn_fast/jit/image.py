"""Machine code as a process maps it: the functions and constants of one object file, in a row.

A program calls nothing outside itself, so all its addresses are relative to one another, and no
linker of a platform is needed to load it.  Kept are the bytes of its sections with the places of
relative addresses blank, and a table of these: equal kernels of two programs then have equal bytes,
and compress to one.  `elf` makes an image of LLVM's object.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

import numpy as np

_LENGTH = struct.Struct("<I")  #: of the head, in bytes of JSON

#: kinds of relative addresses: a 32-bit distance, a branch of AArch64 (26 bits of words), the
#: distance in pages (21 bits in two pieces), and the place in a page, in units of 1 to 16 bytes
NEAR, BRANCH, PAGES, IN_PAGE = 0, 1, 2, 3


class Image(NamedTuple):
    """A program's code, before its addresses are filled in."""

    body: bytes  #: of all sections
    places: np.ndarray  #: (n,) int32: of each relative address in the body
    targets: np.ndarray  #: (n,) int32: place that it leads to
    kinds: np.ndarray  #: (n,) int8
    entries: dict[str, int]  #: places of the functions to call

    def packed(self) -> bytes:
        """Return the image as bytes, for a file.

        Distances from one address to the next stand there, which are alike in equal kernels.
        """
        head = json.dumps([len(self.body), len(self.places), self.entries]).encode()
        steps = [np.diff(each, prepend=np.int32(0)) for each in (self.places, self.targets)]
        parts = [each.astype("<i4").tobytes() for each in steps]
        return b"".join([_LENGTH.pack(len(head)), head, *parts, self.kinds.tobytes(), self.body])

    @classmethod
    def unpacked(cls, data: bytes) -> Image:
        """Return the image that `packed` wrote."""
        at = _LENGTH.size + _LENGTH.unpack_from(data)[0]
        size, n, entries = json.loads(data[_LENGTH.size : at])
        numbers = np.frombuffer(data, "<i4", 2 * n, at).reshape(2, n)
        places, targets = np.cumsum(numbers, axis=1, dtype=np.int32)
        at += 8 * n
        kinds = np.frombuffer(data, np.int8, n, at)
        return cls(data[at + n : at + n + size], places, targets, kinds, entries)

    def linked(self) -> np.ndarray:
        """Return the code with all addresses, as bytes that run at the start of any page."""
        code = np.frombuffer(self.body, np.uint8).copy()
        for kind in np.unique(self.kinds):
            chosen = self.kinds == kind
            places, targets = self.places[chosen], self.targets[chosen]
            at = places[:, None] + np.arange(4)
            words = code[at].view("<u4")[:, 0]
            code[at] = _filled(int(kind), words, places, targets).astype("<u4")[:, None].view("u1")
        return code


def _filled(kind: int, words: np.ndarray, places: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the words at `places` with the addresses of `targets`."""
    if kind == NEAR:
        return (targets - places).astype(np.uint32)
    if kind == BRANCH:
        return words | ((targets - places) // 4 & 0x3FFFFFF).astype(np.uint32)
    if kind == PAGES:
        pages = (targets // 4096 - places // 4096).astype(np.uint32)
        return words | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5
    return words | (targets % 4096 >> kind - IN_PAGE).astype(np.uint32) << 10
