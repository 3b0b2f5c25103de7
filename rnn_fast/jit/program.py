"""Programs: compiled functions with a C signature that Python calls.

Numba and LLVM make a program's machine code once, on first use, and the disk keeps it (`cache`).  A
program is named, not passed, so that loading one from the cache imports neither the kernels nor
Numba.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .cache import file_of, read_cache, sole_compiler, warn_of, write_cache
from .compilation import collector_paused, optimised
from .denormals import inner_name
from .forks import LOADING
from .sources import check_memory, edited, module_fingerprint
from .target import target_machine

#: kinds of a program's arguments: C type, and Numba's type given the dtype of the reals
_KINDS = {
    "reals": (ctypes.c_void_p, lambda types, real: types.CPointer(real)),
    "doubles": (ctypes.c_void_p, lambda types, real: types.CPointer(types.float64)),
    "integers": (ctypes.c_void_p, lambda types, real: types.CPointer(types.int64)),
    "int": (ctypes.c_int64, lambda types, real: types.int64),
    "double": (ctypes.c_double, lambda types, real: types.float64),
}


class NotCompiled(RuntimeError):
    """A program is not on disk, in a ``with`` block of `cached_only`.

    Attributes
    ----------
    order : dict
        The program, for `compile_ordered`, in terms of JSON.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        super().__init__(f"{order['factory']} is not compiled")
        self.order = order


class Permission(threading.local):
    """Permission of a thread to compile."""

    compiles = True


PERMISSION = Permission()


@contextlib.contextmanager
def cached_only() -> Iterator[None]:
    """Let programs come from memory or from disk in a ``with`` block; else raise `NotCompiled`."""
    PERMISSION.compiles = False
    try:
        yield
    finally:
        PERMISSION.compiles = True


def compile_ordered(order: dict[str, Any]) -> None:
    """Compile the program of a `NotCompiled`, perhaps of another process, for the disk."""
    dtype, *specialisation, sources = order["key"]
    program = Program(order["module"], order["factory"], **order["arguments"])
    program(dtype, *specialisation, sources=tuple(sources))


LOADED: set[str] = set()  #: names of the programs that this process has loaded


def loaded_code() -> dict[str, bytes]:
    """Return the object code of all programs loaded so far that are kept, for `receive`."""
    found = {file_of(name): read_cache(name) for name in sorted(LOADED)}
    return {file: code for file, code in found.items() if code is not None}


class Program:
    """A compiled function with a C signature, made on first use for each specialisation.

    Parameters
    ----------
    module, factory : str
        ``factory(dtype, *specialisation)`` in `module` returns the function to compile.
    **arguments : str
        Name and kind of each argument: ``reals`` (pointer to the specialisation's dtype),
        ``doubles``, ``integers`` (pointer to int64), ``int`` (int64) or ``double``.
    """

    def __init__(self, module: str, factory: str, **arguments: str):
        self.module, self.factory, self.arguments = module, factory, arguments
        self._functions: dict[tuple, Callable[..., None]] = {}

    def __call__(
        self, dtype: str, *specialisation: Any, sources: tuple[str, ...] = ()
    ) -> Callable[..., None]:
        """Return the compiled function for reals of `dtype` ("float32" or "float64").

        The function takes addresses and numbers, releases the GIL and checks nothing.

        Parameters
        ----------
        sources : tuple of str
            Code outside the compiled floors that is part of the program, such as the kernels of a
            cell, as ``module:name``.
        """
        key = (dtype, *specialisation, sources)
        if key not in self._functions:
            with LOADING:
                trouble = "" if key in self._functions else self._load(key)
            warn_of(trouble)
        return self._functions[key]

    @property
    def loaded(self) -> list[tuple]:
        """Specialisations that this process has loaded: dtype and more."""
        return [key[:-1] for key in self._functions]

    def _load(self, key: tuple) -> str:
        """Put a program into memory; return why it cannot be kept on disk, if so."""
        *specialisation, sources = key
        name = f"{self.module}.{self.factory}({', '.join(map(str, specialisation))})"
        modules = [source.partition(":")[0] for source in sources]
        for source, module in zip(sources, modules, strict=True):
            name += f" {source} {module_fingerprint(module)}"
        trouble, code = edited(modules), None
        if not trouble:
            code = read_cache(name)
        if code is None:
            if not (PERMISSION.compiles or trouble):
                about = {"module": self.module, "factory": self.factory, "key": [*key]}
                raise NotCompiled({**about, "arguments": self.arguments})
            with sole_compiler(name):
                if not trouble:
                    code = read_cache(name)  # another process may have compiled it meanwhile
                if code is None:
                    code = target_machine().emit_object(self.llvm_module(*specialisation))
                    trouble = edited(modules) or write_cache(name, code)
        self._functions[key] = link(code, self.arguments)
        LOADED.add(name)
        return trouble

    def llvm_module(self, dtype: str, *specialisation: Any) -> Any:
        """Return the optimised LLVM module.

        Raises
        ------
        RuntimeError
            The package was changed on disk after it was imported.
        """
        with LOADING, collector_paused():
            factory = getattr(importlib.import_module(self.module), self.factory)
            check_memory()
            function = factory(dtype, *specialisation)
            module = optimised(function, signature(dtype, self.arguments))
            check_memory()  # a factory imports too
            return module

    def assembly(self, dtype: str, *specialisation: Any) -> str:
        """Return the machine code as text, to count loads and FMAs in."""
        return target_machine().emit_assembly(self.llvm_module(dtype, *specialisation))


def signature(dtype: str, arguments: dict[str, str]) -> tuple[Any, ...]:
    """Return Numba's types of a program's arguments."""
    from numba import types

    return tuple(_KINDS[kind][1](types, getattr(types, dtype)) for kind in arguments.values())


def compiled(function: Callable, dtype: str, **arguments: str) -> Callable[..., None]:
    """Return `function` with a C signature as a `Program` has it, compiled now and kept nowhere."""
    module = optimised(function, signature(dtype, arguments))
    return link(target_machine().emit_object(module), arguments)


def link(code: bytes, arguments: dict[str, str]) -> Callable[..., None]:
    """Put object code into memory and return its ``program`` as a Python function.

    Its `inner` is the address by which another program calls it.
    """
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine(), use_lmm=True)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kinds = [_KINDS[kind][0] for kind in arguments.values()]
    function = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address("program"))
    function.engine = engine  # type: ignore[attr-defined]  # owns the code
    inner = inner_name(target_machine().triple)
    function.inner = engine.get_function_address(inner)  # type: ignore[attr-defined]
    return function
