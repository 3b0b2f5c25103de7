"""How compiled code is made, kept and called."""

from .cache import cache_directories, read_cache, stamp, write_cache
from .kernel import kernel, overloads
from .program import Program, compiled, link, optimised
from .target import target, target_machine, vector_bytes, vector_registers

__all__ = [
    "Program",
    "cache_directories",
    "compiled",
    "kernel",
    "link",
    "optimised",
    "overloads",
    "read_cache",
    "stamp",
    "target",
    "target_machine",
    "vector_bytes",
    "vector_registers",
    "write_cache",
]
