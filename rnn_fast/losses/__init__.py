"""Losses: each a declaration with its formulas in NumPy, and compiled maths in `maths`."""

from . import functions
from .differentiated import from_jax, from_torch
from .loss import LOSSES, Loss

__all__ = ["LOSSES", "Loss", "from_jax", "from_torch", "functions"]
