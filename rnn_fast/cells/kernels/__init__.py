"""Cells: elementwise maths on registers, written once for all drivers.

A cell takes the pre-activations of a step, which the driver's products have made, and the old
state, and gives the new state; on the way back it takes the gradient by the state and gives that
by the pre-activations.  It loops over `n` numbers, whatever they stand for: units, or units by
samples.
"""

from __future__ import annotations

from ...jit import kernel, overloads
from . import gru, lstm, simple
from .simple import activate as activate
from .simple import activate_backward as activate_backward
from .types import CELLS as CELLS
from .types import CellType
from .types import Gradients as Gradients
from .types import Step as Step


def forward(cell, step):
    """Write the new state, from ``step.a`` and the old state."""
    raise NotImplementedError


def backward(cell, step, grads):
    """Write da_t, from dh_t (and dc_t)."""
    raise NotImplementedError


def resets_first(cell):
    """Whether a gate acts on h_{t-1} before the last product, by the two functions below."""
    raise NotImplementedError


def reset(cell, step):
    """Write the state that the last product takes into the first row of a_t."""
    raise NotImplementedError


def reset_backward(cell, step, grads):
    """Write the rest of da_t, from ``grads.dr``."""
    raise NotImplementedError


_FORWARD = {
    "tanh": simple.forward,
    "relu": simple.forward,
    "lstm": lstm.forward,
    "lstm_peephole": lstm.forward,
    "gru": gru.forward_after,
    "gru_before": gru.forward_before,
}
_BACKWARD = {
    "tanh": simple.backward,
    "relu": simple.backward,
    "lstm": lstm.backward,
    "lstm_peephole": lstm.backward,
    "gru": gru.backward_after,
    "gru_before": gru.backward_before,
}


@overloads(forward)
def _forward(cell, step):
    if isinstance(cell, CellType):
        function = _FORWARD[cell.cell]
        return lambda cell, step: function(cell, step)
    return None


@overloads(backward)
def _backward(cell, step, grads):
    if isinstance(cell, CellType):
        function = _BACKWARD[cell.cell]
        return lambda cell, step, grads: function(cell, step, grads)
    return None


@overloads(resets_first)
def _resets_first(cell):
    if cell.cell == "gru_before":
        return lambda cell: True
    return lambda cell: False


@kernel
def _nothing(*arguments):
    """For a cell without it."""


@overloads(reset)
def _reset(cell, step):
    function = gru.reset if cell.cell == "gru_before" else _nothing
    return lambda cell, step: function(cell, step)


@overloads(reset_backward)
def _reset_backward(cell, step, grads):
    function = gru.reset_backward if cell.cell == "gru_before" else _nothing
    return lambda cell, step, grads: function(cell, step, grads)
