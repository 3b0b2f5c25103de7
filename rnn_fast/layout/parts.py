"""Parts of a run's weights, in the flat vector and in packed and accumulated matrices."""

from __future__ import annotations

from typing import NamedTuple

from .batch_records import Pack, Unpack
from .products import Columns, Strip


class Accumulator(NamedTuple):
    """Place and shape of an accumulated gradient."""

    grads: int
    R: int
    C: int


class Weights(NamedTuple):
    """Places of a run's weights in the flat vector of parameters."""

    W: int
    vectors: int
    S: int
    H: int
    columns: Columns

    def _start(self, strip: Strip) -> int:
        """The strip's first weight."""
        if strip.vector is not None:
            return self.vectors + strip.vector * self.H
        return self.W + strip.gate * self.H * self.S + self.columns.start(strip.first)

    def _down(self, strip: Strip) -> int:
        """From one of its rows to the next."""
        return self.S if strip.vector is None else 1

    def pack(self, strip: Strip, first_row: int, k0: int, out: int, height: int) -> Pack:
        """The strip in a forward product whose block begins at `first_row`."""
        return Pack(
            source=self._start(strip),
            down=self._down(strip),
            right=1,
            R=strip.n_rows * self.H,
            C=self.columns.width(strip.first, strip.last),
            out=out,
            height=height,
            k0=k0,
            r0=(strip.row - first_row) * self.H,
        )

    def transposed(self, strip: Strip, first_row: int, out: int, height: int) -> Pack:
        """The strip, turned around, in a product with rows of da_t from `first_row` on."""
        return Pack(
            source=self._start(strip),
            down=1,
            right=self.S,
            R=self.columns.width(strip.first, strip.last),
            C=strip.n_rows * self.H,
            out=out,
            height=height,
            k0=(strip.row - first_row) * self.H,
        )

    def unpack(self, strip: Strip, first_row: int, column: int, of: Accumulator) -> Unpack:
        """The strip in an accumulated gradient whose block begins at `first_row`."""
        return Unpack(
            **of._asdict(),
            row=(strip.row - first_row) * self.H,
            n_rows=strip.n_rows * self.H,
            column=column,
            n_columns=self.columns.width(strip.first, strip.last),
            out=self._start(strip),
            down=self._down(strip),
        )
