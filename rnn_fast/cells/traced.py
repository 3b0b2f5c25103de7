"""A run of a cell's functions on numbers that know only the operations of compiled maths."""

from __future__ import annotations

from typing import Any

from ..validation import shown
from .content import NUMBERS
from .point import Point, Slopes
from .specs import Cell


class Traced:
    """A stand-in for a number: + - * / and NumPy's functions of it are stand-ins again."""

    __slots__ = ()

    def _same(self, *others: Any) -> Traced:
        for other in others:
            if not isinstance(other, (Traced, *NUMBERS)):
                raise TypeError(f"a {type(other).__name__} is no number")
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _same
    __truediv__ = __rtruediv__ = __neg__ = _same

    def __bool__(self) -> bool:
        raise TypeError("there is no `if` on numbers: use where_less")

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Traced:
        return self

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Traced:
        return self


def check_maths(cell: Cell) -> None:
    """Make sure that a cell's functions use what can be compiled, and return what they must.

    Raises
    ------
    TypeError, ValueError
        The message names the function.
    """
    n = Traced()
    before = Point(
        a=(n,) * len(cell.rows),
        h_prev=n,
        h=None,
        c_prev=n if cell.has_memory else None,
        c=None,
        vectors=(n,) * sum(rows for _, rows in cell.elementwise_vectors),
        options=tuple(value for _, value in cell.options),
    )
    after = before._replace(h=n, c=n if cell.has_memory else None)
    if not cell.keeps_rows:
        after = after._replace(a=None)
    slopes = Slopes(da=None, dh=n, dc=before.c_prev, dlate=None)
    late = slopes._replace(da=(n,) * cell.n_grads, dlate=n)
    arguments = {
        "reset": (before,),
        "forward": (before,),
        "backward": (after, slopes),
        "reset_backward": (after, late),
    }
    for key, function in cell.maths:
        try:
            out = function(*arguments[key])
        except (TypeError, AttributeError) as error:
            raise TypeError(
                f"cell {cell.name!r}: {key} fails: {error} (the maths of a cell has + - * / and "
                "the functions of rnn_fast.cells)"
            ) from error
        wanted = expected(cell, key)
        if not _alike(out, wanted):
            raise ValueError(
                f"cell {cell.name!r}: {key} must return {_words(wanted)}; got {_words(out)}"
            )


def expected(cell: Cell, key: str) -> Any:
    """Return what a function must return, with the names of numbers in their place."""
    rows = tuple(row.name for row in cell.rows)
    if key == "reset":
        return rows
    if key == "forward":
        return (rows, "h", "c") if cell.has_memory else (rows, "h")
    da = tuple(f"d {row.name}" for row in cell.rows if row.gate)
    parts = [da, *["dh"] * cell.carries, *["dc"] * cell.has_memory]
    vectors = sum(rows for _, rows in cell.elementwise_vectors)
    if vectors:
        parts.append(tuple(f"dvectors[{i}]" for i in range(vectors)))
    return tuple(parts) if len(parts) > 1 else da


def _alike(out: Any, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        same = isinstance(out, tuple) and len(out) == len(wanted)
        return same and all(map(_alike, out, wanted))
    return isinstance(out, (Traced, *NUMBERS))


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_words, value))}{',' * (len(value) == 1)})"
    return value if isinstance(value, str) else "a number" if _alike(value, "") else shown(value)
