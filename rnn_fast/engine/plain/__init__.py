"""Predictions by NumPy, where no compiled program can be had.

They equal the compiled ones up to rounding; BLAS and its threads compute the products.
"""

from __future__ import annotations

import functools

from ...cells.specs import CELLS
from ...errors import CompilerMissing
from ...jit import can_compile, pack
from ...layout.network import Network
from ...losses import LOSSES
from ..outside import outside


def needed(net: Network) -> bool:
    """Return whether no compiled program can be had for a network."""
    return not can_compile() and _is_in_no_pack(net)


@functools.lru_cache(256)
def _is_in_no_pack(net: Network) -> bool:
    return pack() is None or bool(outside(CELLS[net.cell], *LOSSES.values()))


def demand_compiler(net: Network, wanted: str) -> None:
    """Make sure that compiled programs can be had; `wanted` says what needs them.

    Raises
    ------
    CompilerMissing
        They cannot.
    """
    if needed(net):
        raise CompilerMissing(wanted)
