"""Failure of the n-th array that NumPy makes, by the memory handlers of its C interface."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from numpy._core import _multiarray_umath
except ImportError:  # NumPy 1
    from numpy.core import _multiarray_umath

SET_HANDLER, GET_HANDLER = 304, 305  #: places in NumPy's table of C functions
NAME = b"mem_handler"
pointer, size, api = ctypes.c_void_p, ctypes.c_size_t, ctypes.pythonapi
api.PyCapsule_New.restype = ctypes.py_object
api.PyCapsule_New.argtypes = pointer, ctypes.c_char_p, pointer
api.PyCapsule_GetPointer.restype = pointer
api.PyCapsule_GetPointer.argtypes = ctypes.py_object, ctypes.c_char_p


class Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", pointer),
        ("malloc", pointer),
        ("calloc", pointer),
        ("realloc", pointer),
        ("free", pointer),
    )


def _call(place: int, *arguments: Any) -> Any:
    """Call a function of NumPy's table, of Python objects."""
    table = api.PyCapsule_GetPointer(_multiarray_umath._ARRAY_API, None)
    address = ctypes.cast(table, ctypes.POINTER(pointer))[place]
    kinds = [ctypes.py_object] * (1 + len(arguments))
    return ctypes.PYFUNCTYPE(*kinds)(address)(*arguments)


#: results and arguments of the functions that may fail
KINDS = {
    "malloc": (pointer, pointer, size),
    "calloc": (pointer, pointer, size, size),
    "realloc": (pointer, pointer, pointer, size),
}


class Scarcity:
    """NumPy's own handler, of whose allocations one may fail.

    See NEP 49.  Memory is freed by NumPy's own function, so that arrays may outlive the block.

    Attributes
    ----------
    left : int
        Allocations until one fails; not above 0 after it has.
    """

    def __init__(self) -> None:
        self.left = 0
        own = Handler.from_address(api.PyCapsule_GetPointer(_call(GET_HANDLER), NAME))
        self.functions = [self._counting(getattr(own, name), kind) for name, kind in KINDS.items()]
        addresses = [ctypes.cast(function, pointer) for function in self.functions]
        self.handler = Handler(b"scarce", 1, own.context, *addresses, own.free)
        api.Py_IncRef(ctypes.py_object(self))  # NumPy reads the handler until the process ends
        self.capsule = api.PyCapsule_New(ctypes.addressof(self.handler), NAME, None)

    def _counting(self, address: int, kind: tuple[Any, ...]) -> Any:
        function = ctypes.PYFUNCTYPE(*kind)(address)  # which expects the GIL

        def allocate(*arguments: Any) -> Any:
            self.left -= 1
            return None if self.left == 0 else function(*arguments)

        return ctypes.CFUNCTYPE(*kind)(allocate)

    @contextmanager
    def failing(self, n: int) -> Iterator[None]:
        """Let the n-th allocation of this thread fail within the block; 0: none."""
        before = _call(SET_HANDLER, self.capsule)
        self.left = n
        try:
            yield
        finally:
            _call(SET_HANDLER, before)
