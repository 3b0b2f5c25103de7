"""Cells: elementwise maths on registers, written once for both drivers."""

from .rnn import CELLS as CELLS
from .rnn import activate as activate
from .rnn import activate_backward as activate_backward
