"""Cells that a script declares: rows, weights, and functions of elementwise maths.

A declared cell is known by its name and by a digest of its content: the declaration, the code of
its functions and of their helpers, and the numbers that they use.  Compiled programs are kept under
both, so that the same cell in another script, notebook or session finds them on disk, and a changed
one does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType

from ..validation import shown
from .content import Maths, content_of
from .specs import CELLS, Cell, Row, Vector
from .traced import check_maths

#: the last declared cell of each name
DECLARED: dict[str, Cell] = {}


def declare(
    name: str,
    *,
    forward: Maths,
    backward: Maths,
    reset: Maths | None = None,
    reset_backward: Maths | None = None,
    gates: Iterable[str],
    rows: Iterable[Row],
    vectors: Iterable[Vector] = (),
    options: dict[str, float] | None = None,
    has_memory: bool = False,
    keeps_rows: bool = True,
    carries: bool = False,
) -> Cell:  # long: the description
    """Declare a cell of your own, for `Recurrent`.

    The functions take a `Point`, and those of the backward pass `Slopes` after it.  They are maths
    of ``+ - * /``, numbers, the functions of `rnn_fast.cells`, and functions made of these.

    Parameters
    ----------
    name : str
        What `Recurrent` and files call the cell.  The same name again replaces the cell for models
        that are made from then on.
    forward : callable
        ``forward(point)`` returns the rows, as `backward` needs them, and h: ``(rows, h)``, or
        ``(rows, h, c)`` with memory.
    backward : callable
        ``backward(point, slopes)`` returns the gradients with respect to the pre-activations, a
        tuple in the order of the rows with a gate.  Where the declaration has them, these follow:
        with `carries` the part of dh_{t-1} that does not go through a product; with memory
        dc_{t-1}; a tuple of the gradients of `Point.vectors`.
    reset : callable, optional
        ``reset(point)`` returns the rows after the early products, among them the one that late
        products meet.
    reset_backward : callable, optional
        ``reset_backward(point, slopes)`` returns the same as `backward`, with what goes through the
        late product; gradients of vectors are added.
    gates : iterable of str
        Blocks of H rows of Wxh, Whh and bh, in this order.
    rows : iterable of Row
        Numbers of a step, by the gate whose weights make them.
    vectors : iterable of Vector
        Parameters per unit.
    options : dict of str to float, optional
        Numbers that each model may set, with their defaults.
    has_memory : bool
        Whether there is a state c beside h.
    keeps_rows : bool
        Whether the functions of the backward pass read `Point.a`.
    carries : bool
        Whether dh_{t-1} has a part that does not go through a product.

    Returns
    -------
    Cell

    Raises
    ------
    TypeError, ValueError
        The declaration is not sound, or the maths uses or returns something else.
    """
    functions = {"reset": reset, "forward": forward, "backward": backward}
    functions["reset_backward"] = reset_backward
    chosen = {key: f for key, f in functions.items() if f is not None}
    if not isinstance(name, str) or not name.isidentifier() or name in CELLS:
        raise ValueError(f"name must be an identifier and no built-in cell's; got {shown(name)}")
    for key, function in chosen.items():
        if not isinstance(function, FunctionType):
            raise TypeError(f"{key} must be a function; got {shown(function)}")
    cell = Cell(
        name=name,
        kernels="rnn_fast.cells.kernels.pointwise",
        gates=tuple(gates),
        rows=tuple(rows),
        vectors=tuple(vectors),
        options=tuple((options or {}).items()),
        has_memory=has_memory,
        keeps_rows=keeps_rows,
        carries=carries,
        maths=tuple(chosen.items()),
    )
    if (cell.late_row is None) != (reset is None) or (reset is None) != (reset_backward is None):
        raise ValueError(f"cell {name!r}: reset and reset_backward belong to a late row")
    check_maths(cell)
    cell = cell.called(f"{name}@{digest_of(cell)}")
    CELLS.setdefault(cell.name, cell)
    DECLARED[name] = CELLS[cell.name]
    return DECLARED[name]


def digest_of(cell: Cell) -> str:
    """Return a digest of a cell's declaration and code, 16 hexadecimal digits.

    Raises
    ------
    TypeError
        A function uses something that cannot be part of compiled maths.
    """
    import hashlib

    digest = hashlib.sha256(repr(cell).encode())
    for key, function in cell.maths:
        digest.update(f"\0{key}".encode())
        for part in content_of(function):
            digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]
