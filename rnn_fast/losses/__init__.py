"""Losses: each a declaration with its formulas in NumPy, and compiled maths in `kernels`."""

from . import functions
from .loss import LOSSES, Loss

__all__ = ["LOSSES", "Loss", "functions"]
