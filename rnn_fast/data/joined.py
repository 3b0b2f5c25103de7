"""Features of whole sequences, beside those of each step."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import real


class Joined:
    """Sequences (N, T, I + S): S features of each sequence after the I features of each step.

    `with_static` makes it.  It has a shape, a dtype and indices, and joins what is asked for:
    ``X[:100]``, ``X[places]``, ``np.asarray(X)``.  `fit`, `predict` and `evaluate` read it in
    blocks, so that the features of sequences are in memory once, not at every step.

    Parameters
    ----------
    steps : (N, T, I) array, or anything with a shape, a dtype and indices
    static : (N, S) array
    """

    def __init__(self, steps: Any, static: np.ndarray) -> None:
        self._steps, self._static = steps, static
        N, T, I = steps.shape
        self.shape: tuple[int, int, int] = (N, T, I + static.shape[1])
        self.dtype: np.dtype = np.result_type(steps.dtype, static.dtype)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return sequences by a slice, places or a mask, (n, T, I + S); or one, (T, I + S)."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        steps, static = np.asarray(self._steps[first]), self._static[first][..., None, :]
        wide = np.broadcast_to(static, (*steps.shape[:-1], static.shape[-1]))
        found = np.concatenate([steps, wide], axis=-1, dtype=self.dtype)
        return found[(slice(None),) * (found.ndim - 2) + tuple(rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Joined is no array without a copy")
        return self[:] if dtype is None else self[:].astype(dtype)

    def __repr__(self) -> str:
        return f"<Joined {self.shape} of {self.dtype}>"


def with_static(X: Any, static: Any) -> Joined:
    """Join features of whole sequences, such as a basin's area, to each of their steps.

    Parameters
    ----------
    X : array-like (N, T, I), or anything with a shape, a dtype and indices
        Sequences, such as `windows` returns them; padded ones have `lengths` as without.
    static : array-like (N, S)
        Features of each sequence.

    Returns
    -------
    Joined
        For a model with ``input_size = I + S``: a view, without a copy of either.

    Raises
    ------
    TypeError, ValueError
        The arguments are no such arrays of real numbers, or not of the same N.
    """
    if not (hasattr(X, "shape") and hasattr(X, "dtype") and hasattr(X, "__getitem__")):
        X = real("X", X)
    features = real("static", static)
    if len(X.shape) != 3:
        raise ValueError(f"X must have shape (N, T, I); got {tuple(X.shape)}")
    if features.ndim != 2 or len(features) != X.shape[0]:
        raise ValueError(
            f"static must have shape ({X.shape[0]}, S), a row for each sequence; got "
            f"{features.shape}"
        )
    return Joined(X, features)
