"""Marks for functions that Numba compiles: `kernel`, and `overloads` by type."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

POLICY: dict[str, Any] = {
    "_nrt": False,
    "nogil": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}

#: passes of Numba that find nothing in a kernel, which has no closures, no ``with`` blocks and no
#: literal to unroll.  Without them a cold start takes 0.95 of the time (medians of 4, in turn), and
#: the object code is the same byte for byte.
SKIPPED = (
    "IRProcessing",
    "WithLifting",
    "InlineClosureLikes",
    "RewriteDynamicRaises",
    "MakeFunctionToJitFunction",
    "InlineInlinables",
    "FindLiterallyCalls",
    "LiteralUnroll",
    "LiteralPropagationSubPipelinePass",
    "InlineOverloads",
    "AnnotateTypes",
    "DumpParforDiagnostics",
    "NopythonRewrites",
)


@functools.cache
def pipeline() -> type:
    """Return Numba's compiler without the passes in `SKIPPED`."""
    from numba.core.compiler import CompilerBase, DefaultPassBuilder

    class Pipeline(CompilerBase):
        def define_pipelines(self) -> list[Any]:
            manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
            manager.passes = [each for each in manager.passes if each[0].__name__ not in SKIPPED]
            manager._ENFORCING = False  # checks of passes, and analyses again after each
            return [manager]

    return Pipeline


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
        return a Tile, which must stay in registers.
    """
    if function is None:
        return functools.partial(kernel, inline=inline)
    from numba import njit

    with numba_enabled():
        return njit(forceinline=inline, pipeline_class=pipeline(), **POLICY)(function)


def kernel_named(name: str) -> Any:
    """Import the kernel ``module:function``."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


@contextlib.contextmanager
def numba_enabled() -> Iterator[None]:
    """Compile even if a user has disabled Numba for functions of their own."""
    from numba import config

    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        yield
    finally:
        config.DISABLE_JIT = disabled


def overloads(function: Callable) -> Callable:
    """Define `function` by types for compiled code, inlined wherever it is called.

    The decorated function takes Numba types and returns the implementation, or None.
    """
    from numba.extending import overload

    options = {"forceinline": True, "pipeline_class": pipeline(), **POLICY}
    return overload(function, jit_options=options)
