"""The level that this process computes at, and the pack of programs that it was installed with.

Code comes from the pack of the highest level that the processor has, if the pack was made from the
sources in memory.  Without one, code is made for the very processor.  ``RNN_FAST_TARGET`` names a
level, or ``host`` for the latter.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .elf import image_of
from .executable import Executable
from .image import Image
from .levels import ANSWERS, LEVELS, family, highest, probe_source, wanted
from .packs import Pack, path_of
from .sources import imported

PROBE_GROUP = "probe"  #: in a pack for x86-64


def fits(path: Path) -> bool:
    """Return whether a file is a pack of the sources in memory."""
    try:
        return Pack(path).manifest["sources"] == imported()
    except OSError:
        return False


def _opened(level: str) -> Pack | None:
    """Return the pack of a level; None if there is none for the sources in memory."""
    path = path_of(level)
    return Pack(path) if fits(path) else None


@functools.cache
def answers() -> np.ndarray:
    """Return what the processor says of itself: (ANSWERS,) uint32, zeros on AArch64."""
    told = np.zeros(ANSWERS, np.uint32)
    if family() == ["aarch64"]:
        return told
    packs = (_opened(level) for level in reversed(family()))
    pack = next((pack for pack in packs if pack is not None), None)
    image = Image.unpacked(pack.group(PROBE_GROUP)) if pack else probe(family()[-1])
    Executable(image).function("program", "integers")(told.ctypes.data)
    return told


def probe(level: str) -> Image:
    """Compile the program that asks the processor, for the conventions of a level."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    machine = llvm.Target.from_triple(LEVELS[level].target.triple).create_target_machine(
        cpu="x86-64", reloc="pic", codemodel="small"
    )
    return image_of(machine.emit_object(llvm.parse_assembly(probe_source())))


@functools.cache
def level() -> str:
    """Return the level that programs of this process are made for; "" is the very processor.

    Raises
    ------
    ValueError
        ``RNN_FAST_TARGET`` names no level.
    """
    if wanted() or "NUMBA_CPU_NAME" in os.environ or "NUMBA_CPU_FEATURES" in os.environ:
        return wanted().replace("host", "")
    shipped = [name for name in family() if fits(path_of(name))]
    if not shipped:  # then nobody may be there to compile the probe
        return ""
    return next((name for name in usable() if name in shipped), "")


def usable() -> list[str]:
    """Return the levels that this processor has, from the highest down."""
    return family()[family().index(highest(answers())) :] if family() else []


def check_runs() -> None:
    """Make sure that this processor can run the code of its level.

    Raises
    ------
    RuntimeError
        ``RNN_FAST_TARGET`` names another machine's level, or too high a one.
    """
    if level() and level() not in usable():
        raise RuntimeError(f"this processor cannot run code for {level()} (RNN_FAST_TARGET)")


@functools.cache
def pack() -> Pack | None:
    """Return the pack of this process; None if it was installed without."""
    return _opened(level()) if level() else None


def group_name(module: str, factory: str, dtype: str, tile: Sequence[Any]) -> str:
    """Return the name of a group: all its programs have the same dtype and tile."""
    return f"{module}.{factory}({', '.join(map(str, (dtype, *tile)))})"


_images: dict[str, Executable] = {}


def shipped(name: str) -> Executable | None:
    """Return the group `name` of this process's pack, if it has one."""
    if name not in _images:
        found = pack()
        if found is None or name not in found:
            return None
        _images[name] = Executable(Image.unpacked(found.group(name)))
    return _images[name]
