"""Compiled maths from outside the package, of cells, losses and optimizers that others declare."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from ..cells.specs import Cell
from ..losses import Loss


@functools.cache
def outside(*declared: Cell | Loss) -> tuple[str, ...]:
    """Compiled maths of cells and losses from outside the package, as ``module:function``."""
    return foreign(source for each in declared for source in each.sources)


def foreign(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the sources from outside the package."""
    return tuple(source for source in sources if not source.startswith("rnn_fast."))
