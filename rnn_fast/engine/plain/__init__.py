"""Predictions by NumPy, where no compiled program can be had.

They equal the compiled ones up to rounding; BLAS and its threads compute the products.
"""

from __future__ import annotations

import functools
import importlib.util

from ...errors import CompilerMissing
from ...layout.network import Network

COMPILERS = ("numba", "llvmlite")


@functools.cache
def has_compiler() -> bool:
    """Return whether the packages that compile are installed."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in COMPILERS)
    except ImportError:
        return False


def needed(net: Network) -> bool:
    """Return whether no compiled program can be had for a network."""
    return not has_compiler()


def demand_compiler(net: Network, wanted: str) -> None:
    """Make sure that compiled programs can be had; `wanted` says what needs them.

    Raises
    ------
    CompilerMissing
        They cannot.
    """
    if needed(net):
        raise CompilerMissing(wanted)
