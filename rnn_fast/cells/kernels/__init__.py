"""Compiled maths of the cells: element by element, written once for both drivers.

A cell takes the pre-activations of a step, which the driver's products have made, and the old
state, and returns the new state.  The backward pass takes the gradient with respect to the state
and returns the gradient with respect to the pre-activations.  The functions loop over `n` numbers:
units, or units by samples.

Each function here calls the kernel of the same name in the module that the cell declares.
"""

from __future__ import annotations

from ...jit import kernel, overloads
from .types import CellType, Gradients, Marker, Step, marker_of

__all__ = [
    "CellType",
    "Gradients",
    "Marker",
    "Step",
    "activate",
    "activate_backward",
    "backward",
    "forward",
    "has_late_row",
    "marker_of",
    "reset",
    "reset_backward",
]


def forward(cell, step):
    """Write the new state, from ``step.a`` and the old state."""
    raise NotImplementedError


def backward(cell, step, grads):
    """Write da_t, from dh_t (and dc_t)."""
    raise NotImplementedError


def has_late_row(cell):
    """Return whether a product meets a row of a_t in place of h_{t-1}, at compile time."""
    raise NotImplementedError


def reset(cell, step):
    """Write the row of a_t that late products meet."""
    raise NotImplementedError


def reset_backward(cell, step, grads):
    """Write the rest of da_t, from ``grads.dlate``."""
    raise NotImplementedError


def activate(cell, a):
    """h_t = f(a_t) of an elementwise cell, on one Vec."""
    raise NotImplementedError


def activate_backward(cell, dh, h):
    """da_t = dh_t f'(a_t), with f' in terms of h_t = f(a_t), on one Vec."""
    raise NotImplementedError


@kernel
def _nothing(*arguments):
    """Stand in for a kernel that a cell does not need."""


@overloads(forward)
def _forward(cell, step):
    function = cell.function("forward")
    return lambda cell, step: function(cell, step)


@overloads(backward)
def _backward(cell, step, grads):
    function = cell.function("backward")
    return lambda cell, step, grads: function(cell, step, grads)


@overloads(has_late_row)
def _has_late_row(cell):
    late = cell.spec.late_row is not None
    return lambda cell: late


@overloads(reset)
def _reset(cell, step):
    function = _nothing if cell.spec.late_row is None else cell.function("reset")
    return lambda cell, step: function(cell, step)


@overloads(reset_backward)
def _reset_backward(cell, step, grads):
    function = _nothing if cell.spec.late_row is None else cell.function("reset_backward")
    return lambda cell, step, grads: function(cell, step, grads)


@overloads(activate)
def _activate(cell, a):
    function = cell.function("activate")
    return lambda cell, a: function(cell, a)


@overloads(activate_backward)
def _activate_backward(cell, dh, h):
    function = cell.function("activate_backward")
    return lambda cell, dh, h: function(cell, dh, h)
