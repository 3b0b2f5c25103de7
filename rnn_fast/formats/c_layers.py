"""The layers of a network in C: constant arrays, and a function of products and the cell's maths.

As in `kernels.units` the units are in lanes: a row of a_t has a number for each unit, and zeros up
to a multiple of `LANES`.  A product adds, for each number that a matrix meets, its multiple of a
row of the matrix to a block of columns, which stays in registers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..cells.specs import CELLS
from ..cells.specs.cell import ONE, Cell, H, X
from ..layout.network import Network
from .c_cells import cell_in_c
from .c_maths import literal

LANES = 8  #: numbers in a vector of AVX2 in float32, and of AVX-512 in float64
WIDTHS = {4: 64, 8: 32}  #: most columns of a block, by the bytes of a number
LINE = 100  #: characters


class Product(NamedTuple):
    """A product whose result is added to rows of a_t."""

    name: str  #: of the C array
    first: int  #: row of a_t
    matrix: np.ndarray  #: (n, columns), columns of the rows from `first` on
    factor: str  #: C expression of the n numbers that the matrix meets
    late: bool = False  #: whether these are a row that the cell's `reset` makes


def units_of(net: Network) -> int:
    """Return the columns of a row: H, padded to whole vectors, or to a power of 2."""
    n = net.hidden_size
    return -(-n // LANES) * LANES if n > LANES // 2 else 1 << (n - 1).bit_length()


def array(name: str, numbers: np.ndarray, about: str) -> str:
    """Return the declaration of a constant array."""
    lines, line = [], "   "
    for number in map(literal, numbers.ravel()):
        if len(line) + len(number) + 2 > LINE:
            lines.append(line)
            line = "   "
        line += f" {number},"
    body = "\n".join([*lines, line.rstrip(",")])
    return f"/* {about} */\nstatic const REAL NAME_{name}[{numbers.size}] = {{\n{body}\n}};\n"


def padded(rows: np.ndarray, units: int) -> np.ndarray:
    """Return rows (..., H) with zeros up to `units`."""
    out = np.zeros((*rows.shape[:-1], units), rows.dtype)
    out[..., : rows.shape[-1]] = rows
    return out


def rows_of(spec: Cell) -> list[str]:
    """Return the names of the rows of a_t that C needs: none behind the last product's."""
    return [row.name for row in spec.rows[: 1 + max(piece.row for piece in spec.pieces)]]


class Layer:
    """A layer in C.

    Attributes
    ----------
    products : list of Product
        In the order in which they are computed.
    bias : (1, rows * units) array
    vectors : (n, units) array or None
        Numbers for the cell's maths.
    """

    def __init__(self, net: Network, views: dict[str, np.ndarray], k: int) -> None:
        self.net, self.k, self.spec, self.units = net, k, CELLS[net.cell], units_of(net)
        end = f"_l{k}" if k else ""
        self.views = {name: views[f"{name}{end}"] for name in ("Wxh", "Whh", "bh")}
        self.views |= {v.name: np.atleast_2d(views[f"{v.name}{end}"]) for v in self.spec.vectors}
        self.cell = cell_in_c(net)
        self.products = [
            self._product("wx", X, "x"),
            self._product("wh", H, f"state->h[{k}]"),
        ]
        if self.spec.late_row is not None:
            row = f"a + {self.spec.late_row} * NAME_units"
            self.products.append(self._product("wl", H, row, late=True))
        self.bias = self._product("b", ONE, "1").matrix
        names = {row.bias for row in self.spec.rows}
        rows = [self.views[v.name] for v in self.spec.vectors if v.name not in names]
        self.vectors = padded(self.cell.vectors(np.concatenate(rows)), self.units) if rows else None

    def _product(self, name: str, meets: int, factor: str, late: bool = False) -> Product:
        """Return the product of the pieces that meet a factor, with zeros in rows between theirs.

        The biases have all rows.
        """
        n = self.net.hidden_size
        matrices = {X: self.views["Wxh"], ONE: self.views["bh"][:, None], H: self.views["Whh"]}
        own = [p for p in self.spec.pieces if (p.meets, p.late is not None) == (meets, late)]
        first = min(p.row for p in own) if meets != ONE else 0
        last = max(p.row for p in own) if meets != ONE else len(rows_of(self.spec)) - 1
        rows = np.zeros((last + 1 - first, self.units, matrices[meets].shape[1]), self.net.dtype)
        for p in own:
            part = matrices[meets][p.gate * n : (p.gate + 1) * n]
            bias = self.spec.rows[p.row].bias if p.vector is not None else None
            rows[p.row - first, :n] = part if bias is None else self.views[bias].T
        matrix = rows.reshape(-1, rows.shape[-1]).T
        return Product(f"{name}_{self.k}", first, matrix, factor, late)

    # ------------------------------------------------------------------------------------ text

    def arrays(self) -> Iterator[str]:
        """Yield the declarations of the arrays."""
        rows = ", ".join(rows_of(self.spec))
        yield array(f"b_{self.k}", self.bias, f"layer {self.k}: biases of the rows {rows}")
        for product in self.products:
            n, m = product.matrix.shape
            about = f"{n} rows of {m} columns"
            parts = [
                product.matrix[:, at : at + width].ravel() for at, width in self.blocks(product)
            ]
            if len(parts) > 1:
                about += f", in {len(parts)} blocks of columns"
            yield array(product.name, np.concatenate(parts), about)
        if self.vectors is not None:
            yield array(f"v_{self.k}", self.vectors, "numbers of the cell for each unit")

    def blocks(self, product: Product) -> Iterator[tuple[int, int]]:
        """Yield the first column and the width of each block of a product."""
        columns = product.matrix.shape[1]
        step = min(LANES, self.units)
        n = -(-columns // WIDTHS[self.net.dtype.itemsize])
        wide, rest = divmod(columns // step, n)
        at = 0
        for block in range(n):
            width = step * (wide + (block < rest))
            yield at, width
            at += width

    def function(self) -> str:
        """Return the function of a step."""
        rows = rows_of(self.spec)
        lines = [
            f"static inline void NAME_layer_{self.k}(NAME_state *state, const REAL *x)",
            "{",
            f"    REAL a[{len(rows)} * NAME_units]; /* rows {', '.join(rows)} */",
            f"    memcpy(a, NAME_b_{self.k}, sizeof a);",
        ]
        state = "".join(f", state->{s}[{self.k}]" for s in "hc"[: self.net.states])
        vectors = "" if self.vectors is None else f", NAME_v_{self.k}"
        for product in self.products:
            if product.late:
                lines.append(f"    NAME_reset_row(a, state->h[{self.k}]);")
            lines += self._calls(product)
        return "\n".join([*lines, f"    NAME_cell(a{state}{vectors});", "}\n"])

    def maths(self) -> str:
        """Return the functions of the cell, which all layers share."""
        pointer = "REAL *NAME_RESTRICT"
        state = "".join(f", {pointer} {s}" for s in "hc"[: self.net.states])
        vectors = "" if self.vectors is None else f", const {pointer} v"
        text = "/* the cell: from the rows a to the next state */\n"
        if self.cell.reset:
            head = f"static inline void NAME_reset_row({pointer} a, const {pointer} h)"
            text += f"{head}\n{{\n{self.cell.reset}}}\n\n"
        head = f"static inline void NAME_cell(\n    {pointer} a{state}{vectors})"
        return f"{text}{head}\n{{\n{self.cell.forward}}}\n"

    def _calls(self, product: Product) -> Iterator[str]:
        """Yield the calls of a product, block by block."""
        n, start = len(product.matrix), product.first * self.units
        for at, width in self.blocks(product):
            weights = f"NAME_{product.name}" + (f" + {at * n}" if at else "")
            to = "a" + (f" + {start + at}" if start + at else "")
            yield f"    NAME_columns_{width}({weights}, {product.factor}, {n}, {to});"
