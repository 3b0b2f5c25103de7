"""Losses beside the names that a model takes, and the declarations of these.

A compiled loss is a declaration with its formulas in NumPy, and compiled maths in `maths`.
"""

from . import functions
from .basins import nash_sutcliffe, nse_weights
from .differentiated import from_jax, from_torch
from .loss import LOSSES, Loss, LossName
from .signals import ErrorToSignal

__all__ = [
    "LOSSES",
    "ErrorToSignal",
    "Loss",
    "LossName",
    "from_jax",
    "from_torch",
    "functions",
    "nash_sutcliffe",
    "nse_weights",
]
