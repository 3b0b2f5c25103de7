"""The declaration of a cell: its gates, the rows of a step, and which weights meet what.

A run's parameters are a matrix, one block of H rows for each gate, and vectors behind it::

    W (G H, I + 1 + H)    columns [Wx | b | Wh] of each gate
    vectors (n, H)        numbers per unit

A step's rows ``a_t`` (rows, H) are pre-activations and room for what the backward pass reads.  A
pre-activation is the sum of products of one gate's columns with x_t, 1 and h_{t-1}.  The driver
computes the products; the cell's kernels do the rest, element by element.  The tables of products,
packed weights and gradients follow from the declaration (`layout.products`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ...validation import Registry

X, ONE, H = range(3)  #: what the columns of W meet: x_t, the constant 1, h_{t-1}
MEETS = {"x": X, "1": ONE, "h": H}


#: names of parameters that every network may have; an underscore begins the layer's ending
RESERVED = ("Wxh", "Whh", "bh", "Why", "by", "h0", "c0", "embedding")


class Row(NamedTuple):
    """One row of a_t: H numbers of each sample."""

    name: str
    gate: str | None = None  #: the gate whose weights make it; None: the cell's kernels write it
    meets: str = "x1h"  #: which of x_t, 1 and h_{t-1} the gate's weights meet
    bias: str | None = None  #: the vector that meets 1 in place of the gate's own bias
    late: str | None = None  #: the row that Wh meets in place of h_{t-1}, after `reset` wrote it


class Vector(NamedTuple):
    """Numbers per unit behind W, (n, H): a row's bias or, if no row names it, for the kernels."""

    name: str
    n: int = 1
    start: float = 0.0


class Piece(NamedTuple):
    """The product of some columns of one gate with what they meet, in one row of a_t."""

    row: int  # of a_t
    grad: int  # of da_t
    gate: int
    meets: int  # X, ONE or H
    vector: int | None  # the place of the vector that takes the place of the column
    late: int | None  # the row of a_t that takes the place of h_{t-1}


@dataclass(frozen=True, eq=False)  # each is declared once; equal means the same
class Cell:
    """The declaration of a cell, which drivers and the layout of memory read.

    Parameters
    ----------
    name : str
        Key in `CELLS`.
    kernels : str
        Module of the compiled maths: ``forward(cell, step)``, ``backward(cell, step, grads)``; with
        a late row ``reset`` and ``reset_backward`` of the same signatures; of an elementwise cell
        ``activate(cell, a)`` and ``activate_backward(cell, dh, h)``.
    gates : tuple of str
        Gates in the order of W's rows.
    rows : tuple of Row
        Rows of a_t.  Rows that have a gate are rows of da_t as well, in the same order.
    vectors : tuple of Vector
        Parameters per unit.
    options : tuple of (str, float)
        Names and defaults of real numbers that the kernels read, such as a leak.
    has_memory : bool
        Whether there is a state c beside h.
    keeps_rows : bool
        Whether the backward pass reads a_t.
    carries : bool
        Whether dh_{t-1} has a part that does not go through a product: the kernels leave it in dh.
    is_elementwise : bool
        Whether ``h_t = f(a_t)`` with one row: the driver for one sample runs such a cell.
    maths : tuple of (str, callable)
        Functions of a cell that a script declares.
    plain : tuple of (str, callable)
        Of another cell ``forward``, and with a late row ``reset``, as `declare` takes them, for
        NumPy: for predictions where nothing compiles.

    Raises
    ------
    ValueError
        Weights that no row meets or that two rows meet, or names that do not fit.
    """

    name: str
    kernels: str
    gates: tuple[str, ...]
    rows: tuple[Row, ...]
    vectors: tuple[Vector, ...] = ()
    options: tuple[tuple[str, float], ...] = ()
    has_memory: bool = False
    keeps_rows: bool = True
    carries: bool = False
    is_elementwise: bool = False
    maths: tuple[tuple[str, Callable[..., Any]], ...] = field(default=(), repr=False)
    plain: tuple[tuple[str, Callable[..., Any]], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        met = [(p.gate, p.meets) for p in self.pieces if p.vector is None]
        needed = [(gate, meets) for gate in range(len(self.gates)) for meets in (X, ONE, H)]
        if sorted(met) != needed:
            raise ValueError(f"cell {self.name!r}: each gate must meet x, 1 and h in one row each")
        if len({row.late for row in self.rows if row.late}) > 1:
            raise ValueError(f"cell {self.name!r}: late rows must all meet the same row")
        if self.is_elementwise and len(self.rows) > 1:
            raise ValueError(f"cell {self.name!r}: an elementwise cell has one row")
        wrong = [v.name for v in self.vectors if "_" in v.name or v.name in RESERVED]
        if wrong:
            raise ValueError(f"cell {self.name!r}: a vector cannot be named {wrong[0]!r}")

    def called(self, name: str) -> Cell:
        """Return the same cell by another name."""
        return replace(self, name=name)

    def function(self, name: str) -> Callable[..., Any] | None:
        """Return ``forward`` or ``reset``, which takes a `Point` of NumPy arrays, if there is."""
        return dict(self.maths or self.plain).get(name)

    @property
    def sources(self) -> tuple[str, ...]:
        """Compiled maths that programs hold, as ``module:`` and the declaration it is made for."""
        return (f"{self.kernels}:{self}",)

    @property
    def pieces(self) -> list[Piece]:
        """All products, in the order of the rows and of x, 1, h."""
        names = [row.name for row in self.rows]
        vectors = [vector.name for vector in self.vectors]
        found, grad = [], 0
        for i, row in enumerate(self.rows):
            if row.gate is None:
                continue
            gate = self.gates.index(row.gate)
            for meets in sorted(MEETS[letter] for letter in row.meets):
                bias = row.bias is not None and meets == ONE
                vector = self.vector_start(vectors.index(row.bias)) if bias else None  # type: ignore[arg-type]
                found.append(Piece(i, grad, gate, meets, vector, None))
            if row.late is not None:
                found.append(Piece(i, grad, gate, H, None, names.index(row.late)))
            grad += 1
        return found

    def vector_start(self, place: int) -> int:
        """First row of a vector among the rows of all vectors."""
        return sum(vector.n for vector in self.vectors[:place])

    @property
    def elementwise_vectors(self) -> list[tuple[int, int]]:
        """First row and number of rows of each vector that the kernels read."""
        biases = {row.bias for row in self.rows}
        return [
            (self.vector_start(place), vector.n)
            for place, vector in enumerate(self.vectors)
            if vector.name not in biases
        ]

    @property
    def n_gates(self) -> int:
        """G, blocks of H rows of W."""
        return len(self.gates)

    @property
    def n_grads(self) -> int:
        """Rows of da_t."""
        return sum(row.gate is not None for row in self.rows)

    @property
    def n_states(self) -> int:
        """State vectors: h, or h and c."""
        return 2 if self.has_memory else 1

    @property
    def n_vectors(self) -> int:
        """Rows of all vectors."""
        return sum(vector.n for vector in self.vectors)

    @property
    def late_row(self) -> int | None:
        """The row of a_t that late products meet, or None."""
        return next((p.late for p in self.pieces if p.late is not None), None)


CELLS: Registry[Cell] = Registry("cell")
