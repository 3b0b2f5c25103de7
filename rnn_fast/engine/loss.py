"""The program of a loss, for the jobs of the drivers."""

from __future__ import annotations

from typing import Any

from ..jit import Program
from ..layout.network import Network
from ..losses import LOSSES
from .outside import outside
from .workspace import NAMES

LOSS = Program("rnn_fast.kernels.loss", "loss", job="integers")


def loss_fields(space: Any, net: Network, skips: bool = False) -> dict[str, Any]:
    """Return the fields of a job for a network's loss, whose program is compiled on first use.

    Parameters
    ----------
    space : BatchSpace, UnitSpace, SingleSpace or PlainSpace
        Memory of the driver.
    net : Network
        Without a head it has no loss, and there are no fields.
    skips : bool
        Whether targets that are NaN do not count.
    """
    if not net.output_size:
        return {}
    fields: dict[str, Any] = {"loss": net.loss_numbers(skips)}
    if space.numbers:
        sources = outside(LOSSES[net.loss])
        program: Any = LOSS(NAMES[net.dtype], net.loss, space.numbers, sources=sources)
        fields["evaluate"] = program.inner
    return fields
