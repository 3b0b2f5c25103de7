"""From a Python function and the kernels it calls to one optimised LLVM module."""

from __future__ import annotations

import contextlib
import functools
import gc
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .denormals import flush_denormals
from .filling import add_filling
from .kernel import POLICY, numba_enabled, pipeline
from .target import target_machine, vector_bytes


def optimised(functions: Mapping[str, Callable], signature: tuple[Any, ...]) -> Any:
    """Return the LLVM module of some functions and all they call, as C functions of these names.

    Numba would optimise and assemble every kernel on its own, and again in each caller.  Here the
    kernels stay LLVM IR until all are linked, and one optimisation sees the whole program.  That
    halves the cold start, and no unused error path keeps a reference to the interpreter.  A kernel
    that is not marked ``inline`` stays a function, with registers of its own; functions share the
    kernels of equal types.
    """
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    codegen = cpu_target.target_context.codegen()
    with global_compiler_lock, numba_enabled():
        with linking_only(codegen), answering_once(cpu_target):
            results = {name: _lowered(each, signature) for name, each in functions.items()}
        module = linked([result.library for result in results.values()])
        machine = target_machine()
        module.triple, module.data_layout = machine.triple, str(machine.target_data)
        for name, result in results.items():
            module.get_function(result.fndesc.llvm_cfunc_wrapper_name).name = name
        for i, each in enumerate(module.functions):
            if not each.is_declaration and each.name not in results:
                each.linkage = "internal"
                each.name = f"kernel{i}"  # Numba's names spell out all types: a third of the file
        _optimise(module, machine)
    outside = [
        f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")
    ]
    if outside:
        raise RuntimeError(f"{', '.join(functions)}: compiled code calls {', '.join(outside)}")
    for name in functions:
        flush_denormals(module, name)
    add_filling(module)
    return with_aligned_stack(module)


def _lowered(function: Callable, signature: tuple[Any, ...]) -> Any:
    """Return Numba's result for a C function, as IR that nothing has optimised."""
    from numba import types
    from numba.core.ccallback import CFunc

    options = {"nopython": True, "forceinline": True, **POLICY}
    entry = CFunc(function, (signature, types.void), {}, options, pipeline_class=pipeline())
    return entry._compile_uncached()  # type: ignore[attr-defined]


def _optimise(module: Any, machine: Any) -> None:
    """Run LLVM's passes for the target, as Numba is set to."""
    import llvmlite.binding as llvm
    from numba import config

    options = llvm.create_pipeline_tuning_options()
    options.speed_level = int(config.OPT)
    options.slp_vectorization = config.SLP_VECTORIZE
    options.loop_vectorization = config.LOOP_VECTORIZE
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


@functools.cache
def _library() -> Any:
    """Numba's library of LLVM modules, which here collects them and does nothing else.

    A library of Numba's own holds a copy of all that its function calls, in each caller again.
    Functions that need not be inlined must not be.  Numba's module is marked before LLVM reads it:
    `add_function_attribute` of llvmlite before 0.48 marks the result, and LLVM refuses that.
    """
    from numba.core.codegen import JITCodeLibrary

    class Library(JITCodeLibrary):
        def add_ir_module(self, module: Any) -> None:
            for function in module.functions:
                if not (function.is_declaration or "alwaysinline" in function.attributes):
                    function.attributes.add("noinline")
            super().add_ir_module(module)

        def add_llvm_module(self, module: Any) -> None:
            self._final_module.link_in(module)

        def finalize(self) -> None:
            self._finalized = True

    return Library


def linked(roots: Sequence[Any]) -> Any:
    """Return the module of the first library with those of the others and all below, each once.

    The order is the order of calls, depth first.  Libraries below stay as they are, for the next
    program that calls them.
    """
    module, seen = roots[0]._final_module, {roots[0]}
    todo = [*roots[:0:-1], *roots[0]._linking_libraries[::-1]]
    while todo:
        library = todo.pop()
        if library not in seen:
            seen.add(library)
            module.link_in(library._final_module, preserve=True)
            todo += library._linking_libraries[::-1]
    return module


def linking_only(codegen: Any) -> contextlib.AbstractContextManager[None]:
    """Let Numba collect modules without optimising them or putting code into memory."""
    return attributes(codegen, _library_class=_library(), set_env=_nothing)


def _nothing(name: str, environment: Any) -> None:
    """Do not set the environment of code that is not in memory."""


@contextlib.contextmanager
def answering_once(target: Any) -> Iterator[None]:
    """Let Numba find the signature of a call and the size of a type once, not at each use.

    Nine calls of ten repeat a function and types: Numba types each twice or more, and tries up to
    twenty templates for ``a + b``.  For the size of a type, LLVM parses a module.  With this a cold
    start takes 0.75 of the time (CPU, eight programs, in turn).
    """
    from numba.core.types import BaseFunction

    typing, context = target.typing_context, target.target_context
    resolve = once(typing.resolve_function_type, _call)
    match = once(BaseFunction.get_call_type, lambda function, _, *call: _call(function, *call))
    size = once(context.get_abi_sizeof, str)
    with (
        attributes(typing, resolve_function_type=resolve),
        attributes(BaseFunction, get_call_type=match),
        attributes(context, get_abi_sizeof=size),
    ):
        yield


def _call(function: Any, arguments: tuple, keywords: Any) -> tuple:
    """Return a call as a key; keywords are a dictionary or pairs."""
    return (function, arguments, *dict(keywords).items())


def once(function: Callable, key: Callable) -> Callable:
    """Return `function` with a memory of its results by ``key(*arguments)``."""
    results: dict[Any, Any] = {}

    def remembering(*arguments: Any) -> Any:
        name = key(*arguments)
        if name not in results:
            results[name] = function(*arguments)
        return results[name]

    return remembering


@contextlib.contextmanager
def attributes(thing: Any, **values: Any) -> Iterator[None]:
    """Set attributes of an object or class in a ``with`` block.

    Blocks nest: a signal handler may train a model while another is compiled.
    """
    before = {name: vars(thing)[name] for name in values if name in vars(thing)}
    for name, value in values.items():
        setattr(thing, name, value)
    try:
        yield
    finally:
        for name in values:
            if name in before:  # without a moment in which other threads find none
                setattr(thing, name, before[name])
            else:
                delattr(thing, name)


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's cyclic collector, which would walk all of Numba's objects again and again.

    A cold first fit of a GRU took 6.7 s with the pause and 7.0 without (medians of 3).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def with_aligned_stack(module: Any) -> Any:
    """Return the module with functions that align the stack to vector registers.

    LLVM decides on alignment before it knows of spills, and so spills to wherever the stack is:
    with 64-byte registers three places of four lie across two cache lines.  The products of
    gradients took 1.6 times as long then, in one process and not in the next.
    """
    import llvmlite.binding as llvm

    if vector_bytes() <= 16:  # all stacks are aligned to that
        return module
    attributes = re.compile(r"^attributes #\d+ = \{", re.MULTILINE)
    return llvm.parse_assembly(attributes.sub(rf"\g<0> alignstack={vector_bytes()}", str(module)))
