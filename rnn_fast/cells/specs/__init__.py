"""Declarations of the cells, a file for each kind; importing this package registers them."""

from . import gru, lstm, simple
from .cell import CELLS, Cell, Row, Vector

__all__ = ["CELLS", "Cell", "Row", "Vector", "gru", "lstm", "simple"]
