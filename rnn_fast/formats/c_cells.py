"""The cells' maths in C, element by element: a function for each module of `cells.kernels`.

Each returns the maths of the kernels of its name, forward: the equations stand there.  In the C
code `a` are the rows of a step, ``units`` numbers each, `h` and `c` the state, which is replaced,
and `v` the vectors that no row takes as its bias.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..cells.specs import CELLS, Cell
from ..layout.network import Network
from ..losses.functions import sigmoid
from .c_maths import literal


class CellInC(NamedTuple):
    """The maths of a cell: bodies of C functions."""

    forward: str  #: the new state, from the rows
    reset: str = ""  #: the row that late products meet, before them
    vectors: Callable[[np.ndarray], np.ndarray] = np.asarray  #: v, of the parameters (n, H)


def cell_in_c(net: Network) -> CellInC:
    """Return the maths of a network's cell.

    Raises
    ------
    ValueError
        It is not written in C, as that of a cell that a script declares.
    """
    cell = CELLS[net.cell]
    write = getattr(sys.modules[__name__], cell.kernels.rpartition(".")[2], None)
    if write is None:
        raise ValueError(f"the cell {cell.name.partition('@')[0]!r} is not written in C")
    return write(cell, *(literal(net.dtype.type(option)) for option in net.cell_options))


def _activation(cell: Cell) -> str:
    """Return the C function f of a cell; as in the kernels the last word of its name."""
    return f"NAME_{cell.name.rpartition('_')[2]}"


def simple(cell: Cell) -> CellInC:
    """Write the simple cell."""
    return CellInC(f"""\
    for (int j = 0; j < NAME_units; j++)
        h[j] = {_activation(cell)}(a[j]);
""")


def leaky_rate(cell: Cell, alpha: str = "v[j]") -> CellInC:
    """Write the leaky unit whose state is a rate; a learned alpha is a vector."""
    text = f"""\
    for (int j = 0; j < NAME_units; j++)
        h[j] = NAME_fma({alpha}, {_activation(cell)}(a[j]) - h[j], h[j]);
"""
    return CellInC(text, vectors=sigmoid)


def leaky_membrane(cell: Cell, alpha: str = "v[j]") -> CellInC:
    """Write the leaky unit whose state is a potential; a learned alpha is a vector."""
    text = f"""\
    for (int j = 0; j < NAME_units; j++) {{
        c[j] = NAME_fma({alpha}, a[j] - c[j], c[j]);
        h[j] = {_activation(cell)}(c[j]);
    }}
"""
    return CellInC(text, vectors=sigmoid)


def gru(cell: Cell) -> CellInC:
    """Write the GRU that resets after the product."""
    return CellInC("""\
    REAL *r = a + NAME_units, *z = a + 2 * NAME_units, *n_h = a + 3 * NAME_units;
    for (int j = 0; j < 2 * NAME_units; j++)
        r[j] = NAME_sigmoid(r[j]); /* r and z */
    for (int j = 0; j < NAME_units; j++) {
        const REAL n = NAME_tanh(NAME_fma(r[j], n_h[j], a[j]));
        h[j] = NAME_fma(z[j], h[j] - n, n);
    }
""")


def gru_before(cell: Cell) -> CellInC:
    """Write the GRU that resets before the product."""
    reset = """\
    for (int j = 0; j < NAME_units; j++)
        a[j] = NAME_sigmoid(a[NAME_units + j]) * h[j]; /* r h */
"""
    forward = """\
    for (int j = 0; j < NAME_units; j++) {
        const REAL z = NAME_sigmoid(a[2 * NAME_units + j]);
        const REAL n = NAME_tanh(a[3 * NAME_units + j]);
        h[j] = NAME_fma(z, h[j] - n, n);
    }
"""
    return CellInC(forward, reset)


def lstm(cell: Cell) -> CellInC:
    """Write the LSTM, with or without peepholes."""
    before, after = "", ""
    if cell.elementwise_vectors:
        before = """\
    for (int j = 0; j < NAME_units; j++) {
        a[j] = NAME_fma(v[j], c[j], a[j]);
        f[j] = NAME_fma(v[NAME_units + j], c[j], f[j]);
    }
"""
        after = """\
    for (int j = 0; j < NAME_units; j++)
        o[j] = NAME_fma(v[2 * NAME_units + j], c[j], o[j]);
"""
    return CellInC(f"""\
    REAL *f = a + NAME_units, *g = a + 2 * NAME_units, *o = a + 3 * NAME_units;
{before}\
    for (int j = 0; j < 2 * NAME_units; j++)
        a[j] = NAME_sigmoid(a[j]); /* i and f */
    for (int j = 0; j < NAME_units; j++)
        c[j] = NAME_fma(f[j], c[j], a[j] * NAME_tanh(g[j]));
{after}\
    for (int j = 0; j < NAME_units; j++)
        h[j] = NAME_sigmoid(o[j]) * NAME_tanh(c[j]);
""")
