"""Optimizers: each a declaration with its settings, and compiled maths in `kernels`."""

from .algorithms import SGD, Adagrad, Adam, AdamW, RMSprop, chosen_optimizer
from .optimizer import OPTIMIZERS, Optimizer, OptimizerName

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "OptimizerName",
    "RMSprop",
    "chosen_optimizer",
]
