"""Cells of your own: a declaration, and functions of elementwise maths that are compiled.

Built-in cells have their declarations in `specs` and their maths in `kernels`.
"""

from .check import check_gradient
from .declared import declare
from .maths import absolute, exp, log1p, relu, sigmoid, sqrt, tanh, where_less
from .point import Point, Slopes
from .specs import Cell, Row, Vector

__all__ = [
    "Cell",
    "Point",
    "Row",
    "Slopes",
    "Vector",
    "absolute",
    "check_gradient",
    "declare",
    "exp",
    "log1p",
    "relu",
    "sigmoid",
    "sqrt",
    "tanh",
    "where_less",
]
