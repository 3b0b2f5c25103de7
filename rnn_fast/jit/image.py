"""Machine code as a process maps it: the functions and constants of one object file, in a row.

A program calls nothing outside itself, so all its addresses are relative to one another, and no
linker of a platform is needed to load it.  LLVM's object is read here once, when it is made.  Kept
are the bytes of its sections with the places of relative addresses blank, and a table of these:
equal kernels of two programs then have equal bytes, and compress to one.

The numbers of relocations are those of the ELF supplements for x86-64 and for AArch64.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

import numpy as np

_ALIGN = 64  #: of a section
_LENGTH = struct.Struct("<I")  #: of the head, in bytes of JSON

#: kinds of relative addresses: a 32-bit distance, a branch of AArch64 (26 bits of words), the
#: distance in pages (21 bits in two pieces), and the place in a page, in units of 1 to 16 bytes
_NEAR, _BRANCH, _PAGES, _IN_PAGE = 0, 1, 2, 3
_KINDS = {
    (62, 2): _NEAR,  # R_X86_64_PC32
    (62, 4): _NEAR,  # R_X86_64_PLT32
    (183, 261): _NEAR,  # R_AARCH64_PREL32
    (183, 282): _BRANCH,  # R_AARCH64_JUMP26
    (183, 283): _BRANCH,  # R_AARCH64_CALL26
    (183, 275): _PAGES,  # R_AARCH64_ADR_PREL_PG_HI21
    (183, 277): _IN_PAGE,  # R_AARCH64_ADD_ABS_LO12_NC
    (183, 278): _IN_PAGE,  # R_AARCH64_LDST8_ABS_LO12_NC
    (183, 284): _IN_PAGE + 1,  # of 2 bytes
    (183, 285): _IN_PAGE + 2,  # of 4
    (183, 286): _IN_PAGE + 3,  # of 8
    (183, 299): _IN_PAGE + 4,  # of 16
}


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
    if kind == _NEAR:
        return (targets - places).astype(np.uint32)
    if kind == _BRANCH:
        return words | ((targets - places) // 4 & 0x3FFFFFF).astype(np.uint32)
    if kind == _PAGES:
        pages = (targets // 4096 - places // 4096).astype(np.uint32)
        return words | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5
    return words | (targets % 4096 >> kind - _IN_PAGE).astype(np.uint32) << 10


class _Section(NamedTuple):
    """A header of a section, after ELF-64."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


_ALLOCATED, _WRITABLE, _RELOCATIONS, _SYMBOLS, _GLOBAL = 2, 1, 4, 2, 1
_SYMBOL = np.dtype("<u4, u1, u1, <u2, <u8, <u8")  # name, info, other, section, value, size
_RELOCATION = np.dtype([("at", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("plus", "<i8")])


def image_of(code: bytes) -> Image:
    """Return the image of an ELF object; its entries are the object's global functions.

    Parameters
    ----------
    code : bytes
        A relocatable object for x86-64 or AArch64.

    Raises
    ------
    RuntimeError
        The object is of another kind, has data that it writes to, or calls something outside.
    """
    if code[:6] != b"\x7fELF\x02\x01":
        raise RuntimeError("LLVM made no 64-bit ELF object")
    (machine,) = struct.unpack_from("<H", code, 18)
    start, (size, count, _) = (
        *struct.unpack_from("<Q", code, 40),
        struct.unpack_from("<3H", code, 58),
    )
    sections = [
        _Section(*struct.unpack_from("<2I4Q2I2Q", code, start + i * size)) for i in range(count)
    ]
    (symbols,) = (each for each in sections if each.type == _SYMBOLS)
    names, strings = (
        np.frombuffer(code, _SYMBOL, symbols.size // 24, symbols.offset),
        sections[symbols.link],
    )
    body, bases = _laid_out(code, sections)

    def name_of(symbol: Any) -> str:
        at = strings.offset + int(symbol["f0"])
        return code[at : code.index(b"\0", at)].decode()

    places, targets, kinds = [], [], []
    for section in sections:
        if section.type != _RELOCATIONS or section.info not in bases:
            continue
        for r in np.frombuffer(code, _RELOCATION, section.size // 24, section.offset):
            symbol = names[r["symbol"]]
            kind = _KINDS.get((machine, int(r["kind"])))
            if symbol["f3"] not in bases:
                raise RuntimeError(f"compiled code calls {name_of(symbol)}")
            if kind is None:
                raise RuntimeError(f"relocation {r['kind']} for machine {machine} is not known")
            places.append(bases[section.info] + int(r["at"]))
            targets.append(bases[symbol["f3"]] + int(symbol["f4"]) + int(r["plus"]))
            kinds.append(kind)
    entries = {
        name_of(symbol): bases[symbol["f3"]] + int(symbol["f4"])
        for symbol in names
        if symbol["f3"] in bases and symbol["f1"] >> 4 == _GLOBAL
    }
    return Image(
        bytes(body),
        np.array(places, np.int32),
        np.array(targets, np.int32),
        np.array(kinds, np.int8),
        entries,
    )


def _laid_out(code: bytes, sections: list[_Section]) -> tuple[bytearray, dict[int, int]]:
    """Return the sections that a process needs one after another, and where each begins.

    Unwinding tables are left out: nothing is thrown through a program.
    """
    body, bases = bytearray(), {}
    unwinding = {i for i, each in enumerate(sections) if each.type == 0x70000001}
    for i, each in enumerate(sections):
        if not each.flags & _ALLOCATED or i in unwinding or not each.size:
            continue
        if each.flags & _WRITABLE:
            raise RuntimeError("a program has data of its own, which threads would share")
        body += bytes(-len(body) % _ALIGN)
        bases[i] = len(body)
        body += code[each.offset : each.offset + each.size]
    return body, bases
