"""Functions for the maths of a declared cell: of NumPy arrays here, of vector registers compiled.

Beside them the maths may use ``+ - * /``, numbers, and functions made of these.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    return np.tanh(x)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def relu(x: Any) -> Any:
    """Return max(x, 0); NaN stays."""
    return where_less(x, 0.0, 0.0, x)


def exp(x: Any) -> Any:
    """Return exp(x) of x <= 0."""
    return np.exp(x)


def log1p(x: Any) -> Any:
    """Return log(1 + x) of x >= 0."""
    return np.log1p(x)


def sqrt(x: Any) -> Any:
    """Return the square root."""
    return np.sqrt(x)


def absolute(x: Any) -> Any:
    """Return abs(x)."""
    return np.absolute(x)


def where_less(a: Any, b: Any, x: Any, y: Any) -> Any:
    """Return x where a < b, else y."""
    return np.where(np.less(a, b), x, y)
