"""The leaky unit in continuous time, Euler's step of it; equations in `cells.kernels.leaky`."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from ..maths import sigmoid
from ..point import Point
from .cell import CELLS, Cell, Row, Vector
from .simple import FUNCTIONS, NONLINEARITIES

ALPHA = 0.2  #: of a step of 20 ms and a time constant of 100 ms
Form = Literal["rate", "membrane"]  #: the state that leaks
FORMS: tuple[Form, ...] = get_args(Form)


def leaky_name(form: str, nonlinearity: str, learns: bool) -> str:
    """Return the name of a leaky cell; `learns` says that each unit learns its alpha."""
    return f"{form}_{'learned' if learns else 'fixed'}_{nonlinearity}"


def leak_of(alpha: float) -> float:
    """Return the parameter whose sigmoid is alpha, in (0, 1)."""
    return math.log(alpha) - math.log1p(-alpha)


def forward_of(form: str, nonlinearity: str) -> Any:
    """Return the step of a form, for NumPy; see `cells.kernels.leaky_rate` and `leaky_membrane`."""
    f = FUNCTIONS[nonlinearity]

    def alpha_of(point: Point) -> Any:
        return sigmoid(point.vectors[0]) if point.vectors else point.options[0]

    def rate(point: Point) -> Any:
        r = f(point.a[0])
        return (r,), point.h_prev + alpha_of(point) * (r - point.h_prev)

    def membrane(point: Point) -> Any:
        c = point.c_prev + alpha_of(point) * (point.a[0] - point.c_prev)
        return point.a, f(c), c

    return {"rate": rate, "membrane": membrane}[form]


for form in FORMS:
    for learns in (False, True):
        for nonlinearity in NONLINEARITIES:
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
                    plain=(("forward", forward_of(form, nonlinearity)),),
                )
            )
