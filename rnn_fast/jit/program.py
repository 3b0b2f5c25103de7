"""How compiled code is made, kept and called: the one place that speaks to Numba's compiler.

`kernel` marks a function for compilation.  A `Program` is a kernel with a C signature that Python
calls: Numba and LLVM make its machine code once, on first use, and the disk keeps it.

Plain ``njit(cache=True)`` was seen to run old code after an edit of a function that the cached one
calls, to mix up files of two processes writing at once, to fail at import on a read-only install
and to ignore bounds checking in its key.  It also needs Numba imported (0.6 s) to load anything.
So the cache is ours, and holds less: the object code of one C function that calls nothing outside
itself.  Loading needs llvmlite alone, no Numba and no unpickling, and an import with a first fit
takes a quarter of a second.

One file holds one program, under a name hashed from everything that shapes the code: all of the
package's sources, the versions of Python, Numba, llvmlite and NumPy, the target processor and
Numba's settings.  The key and a checksum stand in the file as well, so that a damaged or foreign
file is not run.  Files are replaced atomically, never changed, so processes cannot race.
"""

from __future__ import annotations

import ctypes
import importlib
import re
import threading
from collections.abc import Callable
from typing import Any

from .cache import read_cache, write_cache
from .kernel import POLICY, numba_enabled
from .target import target_machine, vector_bytes

# ------------------------------------------------------------------------------------ programs

#: kinds of a program's arguments: C type, and Numba's type given the dtype of the reals
_KINDS = {
    "reals": (ctypes.c_void_p, lambda types, real: types.CPointer(real)),
    "doubles": (ctypes.c_void_p, lambda types, real: types.CPointer(types.float64)),
    "integers": (ctypes.c_void_p, lambda types, real: types.CPointer(types.int64)),
    "int": (ctypes.c_int64, lambda types, real: types.int64),
    "double": (ctypes.c_double, lambda types, real: types.float64),
}


class Program:
    """A compiled function with a C signature, made on first use for each specialisation.

    Parameters
    ----------
    module, factory : str
        ``factory(dtype, *specialisation)`` in `module` gives the function.  They are named, not
        passed, so that a program from the cache imports neither them nor Numba.
    **arguments : str
        Name and kind of each argument: ``reals`` (pointer to the specialisation's dtype),
        ``doubles``, ``integers`` (pointer to int64), ``int`` (int64) or ``double``.
    """

    def __init__(self, module: str, factory: str, **arguments: str):
        self.module, self.factory, self.arguments = module, factory, arguments
        self._lock = threading.Lock()
        self._functions: dict[tuple, Callable[..., None]] = {}

    def __call__(self, dtype: str, *specialisation: Any) -> Callable[..., None]:
        """The compiled function for reals of `dtype` ("float32" or "float64").

        It takes addresses and numbers, releases the GIL and checks nothing.
        """
        key = (dtype, *specialisation)
        function = self._functions.get(key)
        if function is None:
            with self._lock:
                function = self._functions.get(key) or self._load(key)
                self._functions[key] = function
        return function

    def _load(self, key: tuple) -> Callable[..., None]:
        name = f"{self.module}.{self.factory}({', '.join(map(str, key))})"
        code = read_cache(name)
        if code is None:
            code = target_machine().emit_object(self.llvm_module(*key))
            write_cache(name, code)
        return link(code, self.arguments)

    def llvm_module(self, dtype: str, *specialisation: Any) -> Any:
        """The optimised LLVM module."""
        factory = getattr(importlib.import_module(self.module), self.factory)
        return optimised(factory(dtype, *specialisation), dtype, self.arguments)

    def assembly(self, dtype: str, *specialisation: Any) -> str:
        """The machine code as text, to count loads and FMAs in."""
        return target_machine().emit_assembly(self.llvm_module(dtype, *specialisation))


def compiled(function: Callable, dtype: str, **arguments: str) -> Callable[..., None]:
    """`function` with a C signature as a `Program` has it, compiled now and kept nowhere."""
    return link(target_machine().emit_object(optimised(function, dtype, arguments)), arguments)


def optimised(function: Callable, dtype: str, arguments: dict[str, str]) -> Any:
    """The LLVM module of `function` and all it calls, as one C function named ``program``.

    Numba would optimise and assemble every kernel on its own, and again in each caller.  Here the
    kernels stay LLVM IR until all are linked, and one optimisation sees the whole program: that
    halves the cold start, and no unused error path keeps a reference to the interpreter.  What
    is not marked ``inline`` stays a function, with registers of its own.
    """
    from numba import types
    from numba.core.ccallback import CFunc
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    class Library(JITCodeLibrary):
        def add_llvm_module(self, module: Any) -> None:
            self._final_module.link_in(module)

        def finalize(self) -> None:
            for library in dict.fromkeys(self._linking_libraries):
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
            self._finalized = True

    signature = tuple(_KINDS[kind][1](types, getattr(types, dtype)) for kind in arguments.values())
    options = {"nopython": True, "forceinline": True, **POLICY}
    entry = CFunc(function, (signature, types.void), {}, options)
    codegen = cpu_target.target_context.codegen()
    with global_compiler_lock, numba_enabled():
        original, codegen._library_class = codegen._library_class, Library
        codegen.set_env = lambda name, env: None  # no code in memory, no environment to set
        try:
            result = entry._compile_uncached()  # type: ignore[attr-defined]
            result.library._ensure_finalized()
        finally:
            codegen._library_class = original
            del codegen.set_env
        module = result.library._final_module
        module.get_function(result.fndesc.llvm_cfunc_wrapper_name).name = "program"
        for i, each in enumerate(module.functions):
            if not each.is_declaration and each.name != "program":
                each.linkage = "internal"
                each.name = f"kernel{i}"  # Numba's names spell out all types: a third of the file
                if not any(b"alwaysinline" in attribute for attribute in each.attributes):
                    each.add_function_attribute("noinline")
        passes, builder = codegen._module_pass_manager()
        passes.run(module, builder)
    outside = [
        f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")
    ]
    if outside:
        raise RuntimeError(f"{function.__qualname__}: compiled code calls {', '.join(outside)}")
    return with_aligned_stack(module)


def with_aligned_stack(module: Any) -> Any:
    """The module, whose functions align the stack to vector registers.

    LLVM decides on that before it knows what will be spilled, and so spills to where the stack
    happens to be: with 64-byte registers three places of four lie across two cache lines.  The
    products of gradients took 1.6 times as long then, in one process and not in the next.
    """
    import llvmlite.binding as llvm

    if vector_bytes() <= 16:  # which all stacks are aligned to
        return module
    attributes = re.compile(r"^attributes #\d+ = \{", re.MULTILINE)
    return llvm.parse_assembly(attributes.sub(rf"\g<0> alignstack={vector_bytes()}", str(module)))


def link(code: bytes, arguments: dict[str, str]) -> Callable[..., None]:
    """Put object code into memory and give its ``program`` as a Python function."""
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine(), use_lmm=True)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kinds = [_KINDS[kind][0] for kind in arguments.values()]
    function = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address("program"))
    function.engine = engine  # type: ignore[attr-defined]  # owns the code
    return function
