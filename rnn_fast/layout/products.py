"""The products of a run, forward and backward, as they follow from the declaration of its cell.

A run's matrix W (G H, S), S = I + 1 + H, meets ``z_t = [x_t; 1; h_{t-1}]``.  A *block* is a
rectangle of rows of a_t (or da_t) and columns of z_t that one product takes; a *strip* is a
rectangle of W that fills part of a block.  All numbers here count rows of H and columns of W.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..cells.specs import Cell
from ..cells.specs.cell import ONE, H, Piece, X

CALL = 7  #: steps of tiles that a call of a product costs, measured


class Block(NamedTuple):
    """Rows of a_t or da_t, and the columns that they meet."""

    row: int
    n_rows: int
    first: int  # X, ONE or H
    last: int


class Strip(NamedTuple):
    """Consecutive rows and gates that meet the same columns."""

    row: int  # of a_t or da_t
    n_rows: int
    gate: int
    first: int
    last: int
    vector: int | None  # the place of the vector that stands in for W's column


class Columns(NamedTuple):
    """Places of x_t, 1 and h_{t-1} in z_t, and of their weights in a row of W."""

    I: int
    H: int

    def start(self, meets: int) -> int:
        """First column of X, ONE or H."""
        return (0, self.I, self.I + 1)[meets]

    def width(self, first: int, last: int) -> int:
        """Columns from `first` to `last`."""
        return self.start(last) + (self.I, 1, self.H)[last] - self.start(first)


def row_of(piece: Piece) -> int:
    """Row of a_t."""
    return piece.row


def grad_of(piece: Piece) -> int:
    """Row of da_t."""
    return piece.grad


def span(rows: Iterable[int]) -> tuple[int, int]:
    """First row and number of rows, gaps included; (0, 0) of none."""
    every = [*rows]
    return (min(every), max(every) + 1 - min(every)) if every else (0, 0)


def strips(pieces: Sequence[Piece], place: Callable[[Piece], int]) -> list[Strip]:
    """Rectangles of W, as few as neighbours allow, that hold `pieces` in rows ``place(piece)``."""
    wide: list[Strip] = []
    for p in pieces:
        last = wide[-1] if wide else None
        if (
            last is not None
            and (last.row, last.gate, last.last + 1) == (place(p), p.gate, p.meets)
            and last.vector is None
            and p.vector is None
        ):
            wide[-1] = last._replace(last=p.meets)
        else:
            wide.append(Strip(place(p), 1, p.gate, p.meets, p.meets, p.vector))
    tall: list[Strip] = []
    for strip in sorted(wide, key=lambda s: (s.first, s.last, s.row)):
        last = tall[-1] if tall else None
        if (
            last is not None
            and (last.first, last.last) == (strip.first, strip.last)
            and last.row + last.n_rows == strip.row
            and last.gate + last.n_rows == strip.gate
            and last.vector is None
            and strip.vector is None
        ):
            tall[-1] = last._replace(n_rows=last.n_rows + 1)
        else:
            tall.append(strip)
    return tall


def by_rows(pieces: Sequence[Piece], place: Callable[[Piece], int]) -> list[Block]:
    """Blocks of consecutive rows that meet the same columns."""
    blocks: list[Block] = []
    for row in sorted({place(p) for p in pieces}):
        met = [p.meets for p in pieces if place(p) == row]
        last = blocks[-1] if blocks else None
        if (
            last is not None
            and last.row + last.n_rows == row
            and (last.first, last.last) == (min(met), max(met))
        ):
            blocks[-1] = last._replace(n_rows=last.n_rows + 1)
        else:
            blocks.append(Block(row, 1, min(met), max(met)))
    return blocks


def by_columns(pieces: Sequence[Piece]) -> list[Block]:
    """Two blocks of da_t: with x_t, and with h_{t-1}; the bias goes with x_t where it can."""
    row, n_rows = span(p.grad for p in pieces if p.meets == X)
    with_x = range(row, row + n_rows)
    other_row, n_others = span(p.grad for p in pieces if p.meets == H)
    alone = any(p.meets == ONE and p.grad not in with_x for p in pieces)
    return [
        Block(row, n_rows, X, ONE),
        Block(other_row, n_others, ONE if alone else H, H),
    ]


def forward_blocks(cell: Cell, columns: Columns, tile_rows: int) -> list[Block]:
    """Blocks of a_t that are computed before a late product.

    Products of their own, or one of all rows whose missing weights are zeros if that costs less:
    counted in steps of tiles, and `CALL` for each product.
    """
    early = [p for p in cell.pieces if p.late is None]
    apart = by_rows(early, row_of)

    def cost(blocks: list[Block]) -> int:
        steps = 0
        for block in blocks:
            tiles = -(-block.n_rows * columns.H // tile_rows)
            steps += tiles * columns.width(block.first, block.last) + CALL
        return steps

    joint = [Block(*span(map(row_of, early)), X, H)]
    return min(apart, joint, key=cost)


def within(piece: Piece, block: Block) -> bool:
    """Return whether a block of da_t holds a piece."""
    rows = range(block.row, block.row + block.n_rows)
    return piece.grad in rows and block.first <= piece.meets <= block.last


def gradient_blocks(cell: Cell) -> list[tuple[Block, list[Piece]]]:
    """Blocks of da_t that meet z_t in the gradient of W, each with the pieces it gives.

    As few blocks as possible, since each turns its columns around; of as many, the smaller ones.
    """
    early = [p for p in cell.pieces if p.late is None]
    blocks, wide = by_rows(early, grad_of), by_columns(early)
    if len(wide) < len(blocks) and all(any(within(p, block) for block in wide) for p in early):
        blocks = wide
    left, found = early, []
    for block in blocks:
        found.append((block, [p for p in left if within(p, block)]))
        left = [p for p in left if not within(p, block)]
    return found
