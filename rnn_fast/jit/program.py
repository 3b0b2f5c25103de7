"""Programs: compiled functions with a C signature that Python calls.

Numba and LLVM make a program's machine code once, on first use, and the disk keeps it (`cache`).  A
program is named, not passed, so that loading one from the cache imports neither the kernels nor
Numba.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import CompilerMissing
from .cache import can_compile, file_of, read_cache, sole_compiler, warn_of, write_cache
from .compilation import collector_paused, optimised
from .elf import image_of
from .executable import Executable
from .forks import LOADING
from .image import Image
from .shipped import check_runs, group_name, shipped
from .sources import check_memory, edited, module_fingerprint
from .target import target_machine

PROGRAM = "program"  #: name of a program that is compiled alone


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
        check_memory()  # records that modules have laid out since the last program
        if not sources and (found := self._shipped(*specialisation)) is not None:
            self._functions[key] = found
            return ""
        name = f"{self.module}.{self.factory}({', '.join(map(str, specialisation))})"
        if not can_compile():
            kind = ", ".join(map(str, specialisation))
            raise CompilerMissing(f"the program {self.factory} of {kind}")
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
                    code = emitted(self.llvm_module(*specialisation))
                    trouble = edited(modules) or write_cache(name, code)
        self._functions[key] = link(code, self.arguments)
        LOADED.add(name)
        return trouble

    def _shipped(self, dtype: str, member: str = PROGRAM, *tile: Any) -> Callable | None:
        """Return a program that came with the installation, if it did."""
        code = shipped(group_name(self.module, self.factory, dtype, tile))
        if code is None:
            return None
        check_runs()
        return code.function(member, *self.arguments.values())

    def llvm_module(self, dtype: str, *specialisation: Any) -> Any:
        """Return the optimised LLVM module of one program.

        Raises
        ------
        RuntimeError
            The package was changed on disk after it was imported.
        """
        return self._module(dtype, {PROGRAM: specialisation})

    def group(self, dtype: str, members: Sequence[str], *tile: Any) -> bytes:
        """Return the code of the programs of all `members`, for a pack; see `shipped`."""
        each = {name: (name, *tile) for name in members} or {PROGRAM: tile}
        return emitted(self._module(dtype, each))

    def _module(self, dtype: str, specialisations: dict[str, tuple]) -> Any:
        with LOADING, collector_paused():
            factory = getattr(importlib.import_module(self.module), self.factory)
            check_memory()
            functions = {name: factory(dtype, *key) for name, key in specialisations.items()}
            module = optimised(functions, signature(dtype, self.arguments))
            check_memory()  # a factory imports too
            return module

    def assembly(self, dtype: str, *specialisation: Any) -> str:
        """Return the machine code as text, to count loads and FMAs in."""
        return target_machine().emit_assembly(self.llvm_module(dtype, *specialisation))


def signature(dtype: str, arguments: dict[str, str]) -> tuple[Any, ...]:
    """Return Numba's types of a program's arguments."""
    from numba import types

    kinds = {
        "reals": types.CPointer(getattr(types, dtype)),
        "doubles": types.CPointer(types.float64),
        "integers": types.CPointer(types.int64),
        "int": types.int64,
        "double": types.float64,
    }
    return tuple(map(kinds.__getitem__, arguments.values()))


def compiled(function: Callable, dtype: str, **arguments: str) -> Callable[..., None]:
    """Return `function` with a C signature as a `Program` has it, compiled now and kept nowhere."""
    module = optimised({PROGRAM: function}, signature(dtype, arguments))
    return link(emitted(module), arguments)


def emitted(module: Any) -> bytes:
    """Return the machine code of an LLVM module, packed as `Image` packs it."""
    return image_of(target_machine().emit_object(module)).packed()


def link(code: bytes, arguments: dict[str, str]) -> Callable[..., None]:
    """Put the code of a program into memory and return it as a Python function.

    Raises
    ------
    RuntimeError
        This processor cannot run it.
    """
    check_runs()
    return Executable(Image.unpacked(code)).function(PROGRAM, *arguments.values())
