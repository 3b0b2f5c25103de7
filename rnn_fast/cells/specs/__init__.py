"""Declarations of the cells, a file for each kind; importing this package registers them."""

from . import gru, leaky, lstm, simple
from .cell import CELLS, Cell, Row, Vector

__all__ = ["CELLS", "Cell", "Row", "Vector", "gru", "leaky", "lstm", "simple"]
