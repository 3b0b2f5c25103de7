"""Memory that code runs in: written first, then executed, never both at once."""

from __future__ import annotations

import ctypes
import functools
import mmap
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .denormals import inner_name
from .image import Image

#: kinds of a program's arguments: pointers to reals of its dtype, to float64 and to int64; numbers
KINDS = {
    "reals": ctypes.c_void_p,
    "doubles": ctypes.c_void_p,
    "integers": ctypes.c_void_p,
    "int": ctypes.c_int64,
    "double": ctypes.c_double,
}


@functools.cache
def _libc() -> Any:
    """Return the process's own symbols."""
    return ctypes.CDLL(None, use_errno=True)


class Executable:
    """Code in memory, at least as long as this object lives.

    Parameters
    ----------
    image : Image

    Raises
    ------
    OSError
        The system allows no new code in this process.
    """

    def __init__(self, image: Image) -> None:
        put = _windows if sys.platform == "win32" else _unix
        self._address, self._memory = put(image.linked())
        self._entries = image.entries

    def address(self, name: str) -> int:
        """Return the address of the function `name`."""
        return self._address + self._entries[name]

    def function(self, name: str, *kinds: str) -> Callable[..., None]:
        """Return the function `name` for calls from Python, of arguments of these `KINDS`.

        Its `inner` is the address by which another program calls it.
        """
        function: Any = ctypes.CFUNCTYPE(None, *map(KINDS.__getitem__, kinds))(self.address(name))
        function.code = self  # alive as long as the function
        if inner_name(name) in self._entries:
            function.inner = self.address(inner_name(name))
        return function


def _unix(code: np.ndarray) -> tuple[int, Any]:
    """Return the address of code in memory, and the object that holds the memory."""
    pages = mmap.mmap(-1, code.size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.write(code.data)
    view = ctypes.c_char.from_buffer(pages)
    address, libc = ctypes.addressof(view), _libc()
    protect = libc.mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    if protect(address, code.size, mmap.PROT_READ | mmap.PROT_EXEC):
        _refuse(ctypes.get_errno())
    if sys.platform == "darwin":
        # Linux does this itself when a page becomes executable, x86-64 needs nothing
        libc.sys_icache_invalidate(ctypes.c_void_p(address), ctypes.c_size_t(code.size))
    return address, view


def _windows(code: np.ndarray) -> tuple[int, Any]:
    """Return the address of code in memory, which lives as long as the process."""
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    kernel.VirtualAlloc.restype = ctypes.c_void_p
    reserve_and_commit, writable, executable = 0x3000, 0x04, 0x20
    size = ctypes.c_size_t(code.size)
    address = kernel.VirtualAlloc(None, size, reserve_and_commit, writable)
    if not address:
        _refuse(ctypes.get_last_error())  # type: ignore[attr-defined]
    ctypes.memmove(address, code.ctypes.data, code.size)
    place, before = ctypes.c_void_p(address), ctypes.c_ulong()
    if not kernel.VirtualProtect(place, size, executable, ctypes.byref(before)):
        _refuse(ctypes.get_last_error())  # type: ignore[attr-defined]
    kernel.FlushInstructionCache(kernel.GetCurrentProcess(), place, size)
    return address, None


def _refuse(number: int) -> None:
    """Raise the system's error `number`."""
    raise OSError(
        number,
        "this system allows no new code in a process (SELinux's execmem, a hardened runtime?), so "
        "rnn_fast can only predict by NumPy here",
    )
