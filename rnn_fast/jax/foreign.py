"""Functions of NumPy arrays that XLA calls: its foreign functions, in the C interface of its FFI.

`jax.pure_callback` would copy the arrays to new ones of JAX and wait for the copies.  On one core
that can wait forever: the thread that is to copy is the thread that waits (seen with JAX 0.10).
Here the arrays are views of XLA's memory.  Names in C are those of ``xla/ffi/api/c_api.h``.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import math
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from typing import Any

import jax
import numpy as np

#: computes results from arguments; the text says how
Function = Callable[[str, list[np.ndarray], list[np.ndarray]], None]

VERSION = 0, 1  #: of the interface that is used here; later ones support it
METADATA = 1  #: XLA_FFI_Extension_Metadata
INVALID_ARGUMENT, INTERNAL = 3, 13  #: XLA_FFI_Error_Code
#: dtypes by XLA_FFI_DataType
DTYPES: dict[int, np.dtype] = {
    4: np.dtype("i4"),
    8: np.dtype("u4"),
    11: np.dtype("f4"),
    12: np.dtype("f8"),
}


def structure(name: str, **fields: Any) -> Any:
    """Return a structure in C that begins with its size and a pointer to an extension."""
    head = [("struct_size", c_size_t), ("extension", c_void_p)]
    return type(name, (ctypes.Structure,), {"_fields_": [*head, *fields.items()]})


class ByteSpan(ctypes.Structure):
    """XLA_FFI_ByteSpan: text."""

    _fields_ = (("start", c_void_p), ("size", c_size_t))


Version = structure("XLA_FFI_Api_Version", major=c_int, minor=c_int)
Failure = structure("XLA_FFI_Error_Create_Args", message=c_char_p, code=c_int)
Api = structure("XLA_FFI_Api", version=Version, internal=c_void_p, create_error=c_void_p)
Buffer = structure(
    "XLA_FFI_Buffer", dtype=c_int, data=c_void_p, rank=c_int64, dims=POINTER(c_int64)
)
Buffers = structure(  # arguments and results have the same form
    "XLA_FFI_Args", size=c_int64, types=c_void_p, items=POINTER(POINTER(Buffer))
)
Attributes = structure(
    "XLA_FFI_Attrs",
    size=c_int64,
    types=c_void_p,
    names=c_void_p,
    items=POINTER(POINTER(ByteSpan)),
)
Frame = structure(
    "XLA_FFI_CallFrame",
    api=POINTER(Api),
    context=c_void_p,
    stage=c_int,
    arguments=Buffers,
    results=Buffers,
    attributes=Attributes,
)


class Metadata(ctypes.Structure):
    """XLA_FFI_Metadata, as far as it is written here."""

    _fields_ = (("struct_size", c_size_t), ("version", Version))


class MetadataExtension(ctypes.Structure):
    """XLA_FFI_Metadata_Extension."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("type", c_int),
        ("next", c_void_p),
        ("metadata", POINTER(Metadata)),
    )


HANDLER = ctypes.CFUNCTYPE(c_void_p, POINTER(Frame))
HANDLERS: list[Any] = []  #: that XLA may call as long as the process lives


def register(name: str, function: Function) -> None:
    """Register a function as the target `name` of `jax.ffi.ffi_call`, with a text as attribute."""

    @HANDLER
    def handler(pointer: Any) -> int | None:
        frame = pointer.contents
        try:
            if frame.extension:
                describe(frame)
                return None
            text = frame.attributes.items[0].contents
            function(
                ctypes.string_at(text.start, text.size).decode(),
                arrays(frame.arguments),
                arrays(frame.results),
            )
        except BaseException as error:  # none may pass through C
            return failure(frame.api.contents, error)
        return None

    HANDLERS.append(handler)
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")


def describe(frame: Any) -> None:
    """Write the version of the interface, which XLA asks for when a target is registered."""
    extension = MetadataExtension.from_address(frame.extension)
    if extension.type == METADATA:
        version = extension.metadata.contents.version
        version.major, version.minor = VERSION


def arrays(buffers: Any) -> list[np.ndarray]:
    """Return views of buffers, which end with the call."""
    return [array(buffers.items[place].contents) for place in range(buffers.size)]


def array(buffer: Any) -> np.ndarray:
    """Return a view of a buffer that is not empty."""
    shape, dtype = buffer.dims[: buffer.rank], DTYPES[buffer.dtype]
    memory: Any = (ctypes.c_char * (math.prod(shape) * dtype.itemsize)).from_address(buffer.data)
    return np.frombuffer(memory, dtype).reshape(shape)


def failure(api: Any, error: BaseException) -> int:
    """Return XLA's copy of an error."""
    create = ctypes.CFUNCTYPE(c_void_p, POINTER(Failure))(api.create_error)
    message = f"{type(error).__name__}: {error}".encode()
    code = INVALID_ARGUMENT if isinstance(error, (TypeError, ValueError)) else INTERNAL
    return create(Failure(ctypes.sizeof(Failure), None, message, code))


@functools.cache
def wait_at_exit() -> None:
    """Have the process wait for its arrays before it ends.

    XLA would wait for a call that is under way, and the call for an interpreter that has ended.
    """

    @atexit.register
    def wait() -> None:
        for array in jax.live_arrays("cpu"):
            with contextlib.suppress(Exception):  # its computation has failed
                array.block_until_ready()
