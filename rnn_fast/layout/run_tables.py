"""The tables of one run: which of its weights are packed, multiplied and given gradients, where."""

from __future__ import annotations

from typing import NamedTuple

from ..cells.specs import Cell
from ..cells.specs.cell import H as STATE
from ..cells.specs.cell import Piece, X
from .batch_records import Line, Pack, Product, RankK, RunSizes, Unpack
from .memory import round_up
from .parts import Accumulator, Weights
from .products import (
    Columns,
    forward_blocks,
    grad_of,
    gradient_blocks,
    row_of,
    span,
    strips,
)

PACKED = 5  #: buffers of packed weights of a run: w, w_h, w_late, w_x, vectors


class Placed(NamedTuple):
    """A run's sizes and its rows of each table."""

    sizes: RunSizes
    products: list[Product]
    rank_ks: list[RankK]
    packs: list[Pack]
    unpacks: list[Unpack]
    spreads: list[Line]
    sums: list[Line]


class RunTables:
    """Products, packed weights and gradients of a run.

    Parameters
    ----------
    cell : Cell
    I, H : int
        Height of x_t, hidden units.
    tile_rows, lanes : int
        Rows and numbers in a row of the register tile.

    Attributes
    ----------
    S : int
        I + 1 + H, columns of W.
    h : int
        Elements of h_t: H times the lanes.
    late_rows, h_rows, x_rows : (int, int)
        First row of da_t and number of rows that the late row, h_{t-1} and x_t meet.
    n_vectors : int
        Rows of the vectors that the cell's kernels read.
    """

    def __init__(self, cell: Cell, I: int, H: int, tile_rows: int, lanes: int):
        self.cell, self.I, self.H, self.lanes, self.tile_rows = cell, I, H, lanes, tile_rows
        self.S, self.h = I + 1 + H, H * lanes
        self.columns = Columns(I, H)
        self.early = [p for p in cell.pieces if p.late is None]
        self.late = [p for p in cell.pieces if p.late is not None]
        self.blocks = forward_blocks(cell, self.columns, tile_rows)
        self.gradients = gradient_blocks(cell)
        self.late_rows = span(map(grad_of, self.late))
        self.h_rows = span(p.grad for p in self.early if p.meets == STATE)
        self.x_rows = span(p.grad for p in self.early if p.meets == X)
        self.n_vectors = sum(n for _, n in cell.elementwise_vectors)

    def gradient_shapes(self) -> list[tuple[int, int]]:
        """Shape of each accumulated gradient, in the order of the table."""
        shapes = [
            (block.n_rows * self.H, self.columns.width(block.first, block.last))
            for block, _ in self.gradients
        ]
        return shapes + ([(self.late_rows[1] * self.H, self.H)] if self.late else [])

    def packed_sizes(self) -> tuple[int, int, int, int, int]:
        """Elements of w, w_h, w_late, w_x and the vectors, packed."""
        late = self._tall(self.late_rows[1]) * self.H
        forward = sum(
            self._tall(block.n_rows) * self.columns.width(block.first, block.last)
            for block in self.blocks
        )
        return (
            forward + late,
            self._tall(1) * self.h_rows[1] * self.H,
            self._tall(1) * self.late_rows[1] * self.H,
            round_up(self.I, self.tile_rows) * self.x_rows[1] * self.H,
            self.n_vectors * self.h,
        )

    def _tall(self, n: int) -> int:
        """Numbers in a column of n rows, in whole tiles."""
        return round_up(n * self.H, self.tile_rows)

    # ----------------------------------------------------------------------------- placing

    def place(
        self, W: int, vectors: int, packed: list[int], accumulators: list[int], sums: int
    ) -> Placed:
        """The rows of all tables.

        Parameters
        ----------
        W, vectors : int
            Places of the run's matrix and vectors in the flat vector of parameters.
        packed : list of int
            Places of its packed weights, in the order of `packed_sizes`.
        accumulators : list of int
            Places of its accumulated gradients, in the order of `gradient_shapes`.
        sums : int
            Place of the sums over lanes of its vectors' gradients.
        """
        w, w_h, w_late, w_x, wide = packed
        source = Weights(W, vectors, self.S, self.H, self.columns)
        products, packs = self._forward(source, w)
        packs += self._backward(source, self.early, STATE, self.h_rows, w_h)
        packs += self._backward(source, self.late, STATE, self.late_rows, w_late)
        packs += self._backward(source, self.early, X, self.x_rows, w_x)
        rank_ks, unpacks = self._gradients(source, accumulators)
        lines = self._lines(vectors)
        spreads = [line._replace(wide=wide + line.wide) for line in lines]
        sum_lines = [line._replace(wide=sums + line.wide) for line in lines]
        sizes = self._sizes(len(products), len(rank_ks), packed, sums)
        return Placed(sizes, products, rank_ks, packs, unpacks, spreads, sum_lines)

    def _sizes(self, n_products: int, n_rank_ks: int, packed: list[int], sums: int) -> RunSizes:
        """Sizes of the run, except for what depends on its place among the runs."""
        n_late, (w, w_h, w_late, w_x, vectors) = int(bool(self.late)), packed
        return RunSizes(
            I=self.I,
            reverse=0,
            step=self.S * self.lanes,
            keep=0,
            product=0,
            n_products=n_products - n_late,
            n_late_products=n_late,
            rank_k=0,
            n_rank_ks=n_rank_ks,
            to_h=self.h_rows[0] * self.h,
            n_to_h=self.h_rows[1] * self.H,
            to_x=self.x_rows[0] * self.h,
            n_to_x=self.x_rows[1] * self.H,
            sums=sums,
            state_sums=0,
            w=w,
            w_h=w_h,
            w_late=w_late,
            w_x=w_x,
            vectors=vectors,
        )

    def _forward(self, source: Weights, w: int) -> tuple[list[Product], list[Pack]]:
        """Products of a step, late ones last, and their weights packed from `w` on."""
        products, packs = [], []
        for block in self.blocks:
            rows = range(block.row, block.row + block.n_rows)
            start, K = self.columns.start(block.first), self.columns.width(block.first, block.last)
            products.append(
                Product(
                    packed=w,
                    height=K,
                    R=block.n_rows * self.H,
                    K=K,
                    K_first=K - self.H if block.last == STATE else K,
                    kept=0,
                    at=start * self.lanes,
                    to=block.row * self.h,
                    add=0,
                )
            )
            for strip in strips([p for p in self.early if p.row in rows], row_of):
                first = self.columns.start(strip.first)
                packs.append(source.pack(strip, block.row, first - start, w, K))
            w += self._tall(block.n_rows) * K
        if self.late:
            row, n_rows = span(map(row_of, self.late))
            products.append(
                Product(
                    packed=w,
                    height=self.H,
                    R=n_rows * self.H,
                    K=self.H,
                    K_first=0,
                    kept=1,
                    at=(self.cell.late_row or 0) * self.h,
                    to=row * self.h,
                    add=1,
                )
            )
            for strip in strips(self.late, row_of):
                packs.append(source.pack(strip, row, 0, w, self.H))
        return products, packs

    def _backward(
        self, source: Weights, pieces: list[Piece], meets: int, rows: tuple[int, int], out: int
    ) -> list[Pack]:
        """Transposed weights of the columns `meets`, for the product with rows of da_t."""
        met = [p for p in pieces if p.meets == meets]
        return [
            source.transposed(strip, rows[0], out, rows[1] * self.H)
            for strip in strips(met, grad_of)
        ]

    def _gradients(
        self, source: Weights, accumulators: list[int]
    ) -> tuple[list[RankK], list[Unpack]]:
        """Products of da_t with z_t, the late one last, and the parts of W that they give."""
        rank_ks, unpacks = [], []
        for (block, pieces), grads in zip(self.gradients, accumulators, strict=False):
            R, C = block.n_rows * self.H, self.columns.width(block.first, block.last)
            start = self.columns.start(block.first)
            at, col = block.row * self.h, start * self.lanes
            rank_ks.append(RankK(at=at, R=R, kept=0, col=col, C=C, grads=grads))
            for strip in strips(pieces, grad_of):
                column = self.columns.start(strip.first) - start
                unpacks.append(source.unpack(strip, block.row, column, Accumulator(grads, R, C)))
        if self.late:
            row, n_rows = self.late_rows
            R, grads = n_rows * self.H, accumulators[-1]
            col = (self.cell.late_row or 0) * self.h
            rank_ks.append(RankK(at=row * self.h, R=R, kept=1, col=col, C=self.H, grads=grads))
            for strip in strips(self.late, grad_of):
                unpacks.append(source.unpack(strip, row, 0, Accumulator(grads, R, self.H)))
        return rank_ks, unpacks

    def _lines(self, vectors: int) -> list[Line]:
        """Vectors that the kernels read, and their places among such vectors."""
        lines, row = [], 0
        for first, n in self.cell.elementwise_vectors:
            lines.append(Line(flat=vectors + first * self.H, n=n * self.H, wide=row * self.h))
            row += n
        return lines
