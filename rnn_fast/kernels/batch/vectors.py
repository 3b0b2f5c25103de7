"""Sums, copies and products of vectors of numbers."""

from __future__ import annotations

from ...jit import kernel
from ...simd import load, store, width


@kernel
def add(p, q, n):
    """p += q, n numbers."""
    for i in range(0, n, width(p)):
        store(p + i, load(p + i) + load(q + i))


@kernel
def copy(p, q, n):
    """p = q, n numbers."""
    for i in range(0, n, width(p)):
        store(p + i, load(q + i))


@kernel
def scale(p, q, n):
    """p *= q, n numbers."""
    for i in range(0, n, width(p)):
        store(p + i, load(p + i) * load(q + i))
