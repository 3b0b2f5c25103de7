"""A numerical check of the gradients of a declared cell's maths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..validation import shown
from .declared import DECLARED
from .point import Point, Slopes
from .specs import Cell

STEP, TOLERANCE = 1e-6, 1e-6  #: of central differences in float64


def check_gradient(cell: Cell | str, seed: int = 0) -> dict[str, float]:
    """Compare the backward functions of a declared cell with differences of its forward ones.

    The functions run in NumPy, in float64, on random numbers; nothing is compiled.  The loss is a
    random sum of h_t, and of c_t with memory.

    Parameters
    ----------
    cell : Cell or str
        What `declare` returned, or the name.
    seed : int
        Draws the numbers.

    Returns
    -------
    dict of str to float
        Error of each gradient, relative to its largest number: of the rows by their names, of
        h_prev (and c_prev) without what goes through products, of the vectors.

    Raises
    ------
    TypeError, ValueError
        It is no declared cell, or an error is above 1e-6; the message has all errors.
    """
    cell = DECLARED.get(cell, cell) if isinstance(cell, str) else cell
    if not isinstance(cell, Cell) or not cell.maths:
        raise TypeError(f"cell must be a declared cell or its name; got {shown(cell)}")
    step = _Step(cell, np.random.default_rng(seed))
    exact = step.gradients()
    errors = {}
    for name, x in step.inputs.items():
        x += STEP
        above = step.loss()
        x -= 2 * STEP
        slope = (above - step.loss()) / (2 * STEP)
        x += STEP
        scale = max(np.abs(slope).max(), 1e-3)
        errors[name] = float(np.abs(slope - exact[name]).max() / scale)
    wrong = [name for name, error in errors.items() if not error <= TOLERANCE]
    if wrong:
        listed = ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
        advice = ""
        if "h_prev" in wrong and not cell.carries:
            advice = "; h depends on h_prev itself: `carries` says so, and backward returns dh"
        raise ValueError(f"wrong gradient of {', '.join(wrong)}: relative errors {listed}{advice}")
    return errors


class _Step:
    """A step of a cell on random numbers, the late product being one with a random diagonal."""

    def __init__(self, cell: Cell, generator: np.random.Generator, n: int = 50) -> None:
        self.cell, self.maths = cell, dict(cell.maths)
        draw = generator.standard_normal
        self.inputs = {row.name: draw(n) for row in cell.rows if row.gate}
        self.inputs["h_prev"] = draw(n)
        if cell.has_memory:
            self.inputs["c_prev"] = draw(n)
        n_vectors = sum(rows for _, rows in cell.elementwise_vectors)
        self.inputs |= {f"vectors[{i}]": draw(n) for i in range(n_vectors)}
        self.n_vectors, self.late, self.dh, self.dc = n_vectors, draw(n), draw(n), draw(n)

    def point(self) -> Point:
        """The step before the cell's functions."""
        rows = [self.inputs.get(row.name) for row in self.cell.rows]
        return Point(
            a=tuple(np.full(50, np.nan) if row is None else row for row in rows),
            h_prev=self.inputs["h_prev"],
            h=None,
            c_prev=self.inputs.get("c_prev"),
            c=None,
            vectors=tuple(self.inputs[f"vectors[{i}]"] for i in range(self.n_vectors)),
            options=tuple(value for _, value in self.cell.options),
        )

    def forward(self) -> Point:
        """The step after the cell's functions."""
        point, cell = self.point(), self.cell
        if cell.late_row is not None:
            rows = self.maths["reset"](point)
            product = self.late * rows[cell.late_row]
            added = [product if row.late else 0.0 for row in cell.rows]
            point = point._replace(a=tuple(a + b for a, b in zip(rows, added, strict=True)))
        rows, *states = self.maths["forward"](point)
        h, c = (*states, None)[:2]
        return point._replace(a=rows if cell.keeps_rows else None, h=h, c=c)

    def loss(self) -> Any:
        """The loss of each number."""
        point = self.forward()
        return self.dh * point.h + (self.dc * point.c if self.cell.has_memory else 0.0)

    def gradients(self) -> dict[str, Any]:
        """The gradients by the cell's functions."""
        cell, point = self.cell, self.forward()
        slopes = Slopes(None, self.dh, self.dc if cell.has_memory else None, None)
        found = self._named(self.maths["backward"](point, slopes))
        grads = [row for row in cell.rows if row.gate]
        if cell.late_row is not None:
            dlate = sum(self.late * found[row.name] for row in grads if row.late)
            da = tuple(found[row.name] for row in grads)
            slopes = Slopes(da, found["h_prev"], found.get("c_prev"), dlate)
            after = self._named(self.maths["reset_backward"](point, slopes))
            for i in range(self.n_vectors):
                after[f"vectors[{i}]"] = after[f"vectors[{i}]"] + found[f"vectors[{i}]"]
            found = after
        return found

    def _named(self, out: Any) -> dict[str, Any]:
        """Gradients by name of what backward returns."""
        cell = self.cell
        parts = [*out] if cell.carries or cell.has_memory or self.n_vectors else [out]
        named = dict(zip([row.name for row in cell.rows if row.gate], parts.pop(0), strict=True))
        named["h_prev"] = parts.pop(0) if cell.carries else 0.0
        if cell.has_memory:
            named["c_prev"] = parts.pop(0)
        if self.n_vectors:
            named |= {f"vectors[{i}]": part for i, part in enumerate(parts.pop(0))}
        return named
