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

import contextlib
import ctypes
import functools
import hashlib
import importlib
import json
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
MAGIC = b"rnn_fast program 1\n"

# ------------------------------------------------------------------------------ compile policy

_POLICY: dict[str, Any] = {
    "_nrt": False,
    "nogil": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def kernel(function: Callable | None = None, *, inline: bool = False) -> Any:
    """Compile `function` with Numba when another kernel or a `Program` calls it.

    Kernels hold no reference counts, allocate nothing and raise nothing: an integer division by
    zero is undefined, an index is not checked.

    Parameters
    ----------
    function : callable
        A function of scalars, pointers and the types of `simd`.
    inline : bool
        Put the code into the caller whatever LLVM thinks of its size: for functions that take or
        give a Tile, which must stay in registers.
    """
    if function is None:
        return functools.partial(kernel, inline=inline)
    from numba import njit

    with _enabled():
        return njit(forceinline=inline, **_POLICY)(function)


@contextlib.contextmanager
def _enabled() -> Iterator[None]:
    """Compile, also where a user has disabled Numba, meaning his own functions."""
    from numba import config

    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        yield
    finally:
        config.DISABLE_JIT = disabled


def overloads(function: Callable) -> Callable:
    """Give `function` a compiled meaning by type, inlined wherever it is called.

    The decorated function takes Numba types and returns the implementation, or None.
    """
    from numba.extending import overload

    return overload(function, jit_options={"forceinline": True, **_POLICY})


@functools.cache
def target() -> tuple[str, str]:
    """(processor, features) that code is made for, in LLVM's words.

    The host's, unless ``NUMBA_CPU_NAME`` or ``NUMBA_CPU_FEATURES`` say otherwise.
    """
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME", "")
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name not in ("", "host") else llvm.get_host_cpu_features().flatten()
    return (name if name not in ("", "host") else llvm.get_host_cpu_name()), features


def _target_machine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = target()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="small", jit=True
    )


@functools.cache
def vector_bytes() -> int:
    """Width of the target's vector registers: 64 (AVX-512), 32 (AVX2) or 16 (SSE, NEON).

    LLVM is asked by compiling one addition of 64 bytes: what registers does it take?
    """
    import llvmlite.binding as llvm

    source = """define void @add(ptr %p) {
        %x = load <16 x float>, ptr %p
        %y = fadd <16 x float> %x, %x
        store <16 x float> %y, ptr %p
        ret void }"""
    assembly = _target_machine().emit_assembly(llvm.parse_assembly(source))
    return 64 if "zmm" in assembly else 32 if "ymm" in assembly else 16


def vector_registers() -> int:
    """Vector registers of the target: 32 on AVX-512 and 64-bit ARM, else 16."""
    import llvmlite.binding as llvm

    arm = llvm.get_process_triple().startswith(("aarch64", "arm64"))
    return 32 if arm or vector_bytes() == 64 else 16


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
            code = _target_machine().emit_object(self.llvm_module(*key))
            write_cache(name, code)
        return link(code, self.arguments)

    def llvm_module(self, dtype: str, *specialisation: Any) -> Any:
        """The optimised LLVM module."""
        factory = getattr(importlib.import_module(self.module), self.factory)
        return optimised(factory(dtype, *specialisation), dtype, self.arguments)

    def assembly(self, dtype: str, *specialisation: Any) -> str:
        """The machine code as text, to count loads and FMAs in."""
        return _target_machine().emit_assembly(self.llvm_module(dtype, *specialisation))


def compiled(function: Callable, dtype: str, **arguments: str) -> Callable[..., None]:
    """`function` with a C signature as a `Program` has it, compiled now and kept nowhere."""
    return link(_target_machine().emit_object(optimised(function, dtype, arguments)), arguments)


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
    options = {"nopython": True, "forceinline": True, **_POLICY}
    entry = CFunc(function, (signature, types.void), {}, options)
    codegen = cpu_target.target_context.codegen()
    with global_compiler_lock, _enabled():
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
        for each in module.functions:
            if not each.is_declaration and each.name != "program":
                each.linkage = "internal"
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

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine(), use_lmm=True)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kinds = [_KINDS[kind][0] for kind in arguments.values()]
    function = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address("program"))
    function.engine = engine  # type: ignore[attr-defined]  # owns the code
    return function


# ---------------------------------------------------------------------------------- disk cache


def _settings() -> dict[str, str]:
    """Numba's settings, from the environment and from a configuration file."""
    found = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith("NUMBA_") and not name.startswith("NUMBA_CACHE")
    }
    file = Path(".numba_config.yaml")
    if file.is_file():
        found[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


@functools.cache
def stamp() -> str:
    """Everything that shapes the code of every program, as text."""
    from importlib.metadata import version  # 40 ms that an import without a fit need not pay

    sources = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.relative_to(PACKAGE).parts[0] == "bench":  # measures, and is nothing of a program
            continue
        sources.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0")
        sources.update(file.read_bytes() + b"\0")
    versions = {name: version(name) for name in ("numba", "llvmlite", "numpy")}
    return json.dumps(
        [sources.hexdigest(), sys.version, versions, target(), _settings()], sort_keys=True
    )


def cache_directories() -> Iterator[Path]:
    """Where programs are kept: the first that can be written, or else memory only."""
    chosen = os.environ.get("RNN_FAST_CACHE_DIR")
    if chosen:
        yield Path(chosen)
        return
    yield PACKAGE / "__pycache__" / "programs"
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        yield home / "rnn_fast"
    except RuntimeError:  # no home directory
        pass
    if hasattr(os, "getuid"):
        yield Path(tempfile.gettempdir()) / f"rnn_fast-{os.getuid()}"


def _ours(directory: Path) -> bool:
    """Whether nobody but this user (or root) can put code there: it will be run."""
    if not hasattr(os, "getuid"):
        return True
    info = directory.stat()
    return info.st_uid in (0, os.getuid()) and not info.st_mode & 0o022


def _key(name: str) -> bytes:
    return json.dumps([name, stamp()]).encode()


def _file(directory: Path, name: str) -> Path:
    return directory / (hashlib.sha256(_key(name)).hexdigest()[:32] + ".o")


def read_cache(name: str) -> bytes | None:
    """The object code kept for program `name`, if any is whole."""
    head = MAGIC + hashlib.sha256(_key(name)).digest()
    for directory in cache_directories():
        try:
            data = _file(directory, name).read_bytes() if _ours(directory) else b""
        except OSError:
            continue
        code = data[len(head) + 32 :]
        if data[: len(head) + 32] == head + hashlib.sha256(code).digest():
            return code
    return None


def write_cache(name: str, code: bytes) -> Path | None:
    """Keep `code` for program `name` in the first directory that takes it."""
    data = MAGIC + hashlib.sha256(_key(name)).digest() + hashlib.sha256(code).digest() + code
    for directory in cache_directories():
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not _ours(directory):
                continue
            handle, temporary = tempfile.mkstemp(dir=directory, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(temporary, _file(directory, name))
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            return _file(directory, name)
        except OSError:
            continue
    return None
