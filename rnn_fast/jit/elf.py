"""Images of LLVM's objects, which are ELF on every system.

The numbers are those of ELF-64, and of its supplements for x86-64 and AArch64.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from .image import BRANCH, IN_PAGE, NEAR, PAGES, Image

#: kinds of relative addresses, by machine and by number of the relocation
_KINDS = {
    (62, 2): NEAR,  # R_X86_64_PC32
    (62, 4): NEAR,  # R_X86_64_PLT32
    (183, 261): NEAR,  # R_AARCH64_PREL32
    (183, 282): BRANCH,  # R_AARCH64_JUMP26
    (183, 283): BRANCH,  # R_AARCH64_CALL26
    (183, 275): PAGES,  # R_AARCH64_ADR_PREL_PG_HI21
    (183, 277): IN_PAGE,  # R_AARCH64_ADD_ABS_LO12_NC
    (183, 278): IN_PAGE,  # R_AARCH64_LDST8_ABS_LO12_NC
    (183, 284): IN_PAGE + 1,  # of 2 bytes
    (183, 285): IN_PAGE + 2,  # of 4
    (183, 286): IN_PAGE + 3,  # of 8
    (183, 299): IN_PAGE + 4,  # of 16
}
_ALIGN = 64  #: of a section in an image
_ALLOCATED, _WRITABLE = 2, 1  #: flags of a section
_SYMBOLS, _RELOCATIONS = 2, 4  #: kinds of sections
_GLOBAL = 0x12  #: a function that other objects may call
_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "<u2"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_RELOCATION = np.dtype([("at", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("plus", "<i8")])


class Section(NamedTuple):
    """A header of a section."""

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


class Elf:
    """A relocatable object.

    Raises
    ------
    RuntimeError
        It is of another format.
    """

    def __init__(self, code: bytes) -> None:
        if code[:6] != b"\x7fELF\x02\x01":
            raise RuntimeError("LLVM made no 64-bit ELF object")
        self.code = code
        (self.machine,) = struct.unpack_from("<H", code, 18)
        (start,) = struct.unpack_from("<Q", code, 40)
        size, count = struct.unpack_from("<2H", code, 58)
        places = (start + i * size for i in range(count))
        self.sections = [Section(*struct.unpack_from("<2I4Q2I2Q", code, at)) for at in places]
        (table,) = (each for each in self.sections if each.type == _SYMBOLS)
        self.symbols = self.array(table, _SYMBOL)
        self._strings = self.sections[table.link].offset

    def array(self, section: Section, dtype: np.dtype) -> np.ndarray:
        """Return the entries of a section."""
        return np.frombuffer(self.code, dtype, section.size // dtype.itemsize, section.offset)

    def name(self, symbol: np.void) -> str:
        """Return the name of a symbol."""
        at = self._strings + int(symbol["name"])
        return self.code[at : self.code.index(b"\0", at)].decode()


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
    elf = Elf(code)
    body, bases = _laid_out(code, elf.sections)
    rows = [
        _relative(elf, section, entry, bases)
        for section in elf.sections
        if section.type == _RELOCATIONS and section.info in bases
        for entry in elf.array(section, _RELOCATION)
    ]
    places, targets, kinds = np.array(rows, np.int32).reshape(-1, 3).T
    entries = {
        elf.name(symbol): bases[symbol["section"]] + int(symbol["value"])
        for symbol in elf.symbols
        if symbol["section"] in bases and symbol["info"] & 0xFF == _GLOBAL
    }
    return Image(bytes(body), places.copy(), targets.copy(), kinds.astype(np.int8), entries)


def _relative(
    elf: Elf, section: Section, entry: np.void, bases: dict[int, int]
) -> tuple[int, int, int]:
    """Return place, target and kind of a relative address."""
    symbol, number = elf.symbols[entry["symbol"]], int(entry["kind"])
    if symbol["section"] not in bases:
        raise RuntimeError(f"compiled code calls {elf.name(symbol)}")
    if (elf.machine, number) not in _KINDS:
        raise RuntimeError(f"relocation {number} for machine {elf.machine} is not known")
    place = bases[section.info] + int(entry["at"])
    target = bases[symbol["section"]] + int(symbol["value"]) + int(entry["plus"])
    return place, target, _KINDS[elf.machine, number]


def _laid_out(code: bytes, sections: list[Section]) -> tuple[bytearray, dict[int, int]]:
    """Return the sections that a process needs one after another, and where each begins.

    Unwinding tables are left out: nothing is thrown through a program.
    """
    body, bases = bytearray(), {}
    for i, each in enumerate(sections):
        if not each.flags & _ALLOCATED or not each.size or _unwinds(code, sections, each):
            continue
        if each.flags & _WRITABLE:
            raise RuntimeError("a program has data of its own, which threads would share")
        body += bytes(-len(body) % _ALIGN)
        bases[i] = len(body)
        body += code[each.offset : each.offset + each.size]
    return body, bases


def _unwinds(code: bytes, sections: list[Section], section: Section) -> bool:
    """Return whether a section is an unwinding table."""
    (names,) = struct.unpack_from("<H", code, 62)
    return code.startswith(b".eh_frame\0", sections[names].offset + section.name)
