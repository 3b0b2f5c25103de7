"""The leaky unit in continuous time, Euler's step of it; equations in `cells.kernels.leaky`."""

from __future__ import annotations

import math

from .cell import CELLS, Cell, Row, Vector

ALPHA = 0.2  #: of a step of 20 ms and a time constant of 100 ms
FORMS = ("rate", "membrane")


def leaky_name(form: str, nonlinearity: str, learns: bool) -> str:
    """Return the name of a leaky cell; `learns` says that each unit learns its alpha."""
    return f"{form}_{'learned' if learns else 'fixed'}_{nonlinearity}"


def leak_of(alpha: float) -> float:
    """Return the parameter whose sigmoid is alpha, in (0, 1)."""
    return math.log(alpha) - math.log1p(-alpha)


for form in FORMS:
    for learns in (False, True):
        for nonlinearity in ("tanh", "relu"):
            CELLS.add(
                Cell(
                    name=leaky_name(form, nonlinearity, learns),
                    kernels=f"rnn_fast.cells.kernels.leaky_{form}",
                    gates=("a",),
                    rows=(Row("a", "a"),),
                    vectors=(Vector("leak", start=leak_of(ALPHA)),) if learns else (),
                    options=() if learns else (("alpha", ALPHA),),
                    has_memory=form == "membrane",
                    keeps_rows=form == "rate",
                    carries=form == "rate",
                )
            )
