"""Compilation, caching and calls of compiled code; no other room uses Numba's compiler."""

from .cache import cache_directories, can_compile, read_cache, receive, write_cache
from .denormals import has_flags
from .kernel import kernel, kernel_named, overloads
from .program import NotCompiled, Program, cached_only, compile_ordered, compiled, loaded_code
from .shipped import level, pack
from .target import (
    has_avx512,
    native_object,
    processor,
    target,
    target_machine,
    vector_bytes,
    vector_registers,
)

__all__ = [
    "NotCompiled",
    "Program",
    "cache_directories",
    "cached_only",
    "can_compile",
    "compile_ordered",
    "compiled",
    "has_avx512",
    "has_flags",
    "kernel",
    "kernel_named",
    "level",
    "loaded_code",
    "native_object",
    "overloads",
    "pack",
    "processor",
    "read_cache",
    "receive",
    "target",
    "target_machine",
    "vector_bytes",
    "vector_registers",
    "write_cache",
]
