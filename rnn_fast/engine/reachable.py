"""The programs that models of the package's own cells can ask for, in groups for a pack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..cells.specs import CELLS
from ..jit import Program, vector_bytes, vector_registers
from ..jit.shipped import group_name
from ..losses import LOSSES
from ..optimizers import OPTIMIZERS
from ..tuning import TUNING
from ..validation import DTYPES
from .constraints import CONSTRAINED
from .loss import LOSS
from .online_step import ONLINE_STEP
from .operations import BATCH_EPOCH, PREDICTIONS, SINGLE_EPOCH, UNIT_EPOCH, UNIT_PREDICTIONS
from .optimizer_state import DESCENT
from .outside import foreign
from .stretch import STRETCH
from .tiling import SINGLE_VECS, Tile, tile_of_vecs, unit_tile
from .unit_step import UNIT_STEP
from .unit_stream import UNIT_STREAM


class Group(NamedTuple):
    """Programs that differ in the cell, the loss or the optimizer alone."""

    program: Program
    dtype: str
    members: tuple[str, ...]  #: of cells, losses or optimizers; none: there is one program
    tile: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """Name of the group in a pack."""
        return group_name(self.program.module, self.program.factory, self.dtype, self.tile)

    @property
    def stream(self) -> str:
        """Name of the groups that are alike, and compressed together: those of one tile.

        All of a level together take a third of the bytes, and 60 ms to read instead of 10.
        """
        room = self.program.module.rpartition(".")[0]
        return group_name(room, "", self.dtype, self.tile[:3])

    def code(self) -> bytes:
        """Compile the programs."""
        return self.program.group(self.dtype, self.members, *self.tile)


def groups() -> Iterator[Group]:
    """Yield all groups of the level that programs are made for."""
    built_in = {name: cell for name, cell in CELLS.items() if not foreign(cell.sources)}
    cells = tuple(built_in)
    losses = tuple(name for name, loss in LOSSES.items() if not foreign(loss.sources))
    single = tuple(name for name, cell in built_in.items() if cell.is_elementwise)
    for dtype in DTYPES:
        name, lanes = dtype.name, vector_bytes() // dtype.itemsize
        for tile in _batch_tiles(lanes):
            yield Group(BATCH_EPOCH, name, cells, tile)
            yield Group(PREDICTIONS, name, cells, tile)
        for rows in TUNING.unit_vecs[vector_registers()]:
            for program in (UNIT_EPOCH, UNIT_PREDICTIONS, UNIT_STREAM):
                yield Group(program, name, cells, unit_tile(rows))
        yield Group(UNIT_STEP, name, cells, unit_tile(1))
        for vecs in SINGLE_VECS:
            yield Group(SINGLE_EPOCH, name, single, tile_of_vecs(vecs))
            yield Group(ONLINE_STEP, name, single, tile_of_vecs(vecs))
        for numbers in {tile.numbers: None for tile in _batch_tiles(lanes)} | {lanes: None}:
            yield Group(LOSS, name, losses, (numbers,))
        yield Group(DESCENT, name, tuple(OPTIMIZERS))
        yield Group(CONSTRAINED, name, ())
        yield Group(STRETCH, name, ())


def _batch_tiles(lanes: int) -> Iterator[Tile]:
    """Yield the tiles of the batch driver, for registers of so many numbers."""
    for rows, vecs, parts, _ in TUNING.tiles[vector_registers()]:
        for tail in (0, *(tail for tail in TUNING.tails if tail < vecs)):
            yield Tile(rows, vecs, lanes // parts, tail)
