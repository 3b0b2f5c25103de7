"""The parameters of a network: one flat vector, named views into it, and how they start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, overload

import numpy as np

from . import checks

ALIGNMENT = 64  #: bytes, a cache line and the widest vector register; NumPy promises only 16


def aligned(n: int, dtype: np.dtype | type) -> np.ndarray:
    """Return a vector of `n` zeros that starts at a multiple of `ALIGNMENT`."""
    size = n * np.dtype(dtype).itemsize
    buffer = np.zeros(size + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size].view(dtype)


def views(
    flat: np.ndarray, input_size: int, hidden_size: int, output_size: int, gates: int = 1
) -> dict[str, np.ndarray]:
    """Name the parts of a flat vector, which holds two matrices as the kernels multiply by them.

    They are ``W (G H, I + 1 + H)`` with the columns ``[Wxh | bh | Whh]`` and behind it
    ``V (O, 1 + H)`` with ``[by | Why]``; see `layout`.

    Returns
    -------
    dict of str to ndarray
        Writeable views: Wxh (G H, I), Whh (G H, H), bh (G H,), Why (O, H), by (O,).
    """
    height, width = gates * hidden_size, input_size + 1 + hidden_size
    W = flat[: height * width].reshape(height, width)
    V = flat[height * width :].reshape(output_size, 1 + hidden_size)
    return {
        "Wxh": W[:, :input_size],
        "Whh": W[:, input_size + 1 :],
        "bh": W[:, input_size],
        "Why": V[:, 1:],
        "by": V[:, 0],
    }


def initialise(parameters: Mapping[str, np.ndarray], generator: np.random.Generator) -> None:
    """Fill `parameters` with a start that learns well.

    ``Wxh`` and ``Why`` are uniform with the variance 2 / (rows + columns) of Glorot and Bengio
    (2010), each gate's square of ``Whh`` is a random orthogonal matrix (Saxe et al., 2014), which
    neither shrinks nor blows up what it carries over many steps, and the biases are zero.  On the
    tutorial's task and on the digits, read row by row, this learned as well as or better than the
    uniform draws of PyTorch and the normal ones of the tutorial.

    All is drawn in float64 and then rounded, so that both dtypes start from the same numbers.
    """
    for name, array in parameters.items():
        if array.ndim == 1:
            array[...] = 0
        elif name == "Whh":
            for gate in np.split(array, len(array) // array.shape[1]):
                gate[...] = orthogonal(len(gate), generator)
        else:
            bound = np.sqrt(6 / sum(array.shape))
            array[...] = generator.uniform(-bound, bound, array.shape)


def orthogonal(n: int, generator: np.random.Generator) -> np.ndarray:
    """Draw an orthogonal matrix (n, n) in float64, uniform over all of them (Mezzadri, 2007)."""
    q, r = np.linalg.qr(generator.standard_normal((n, n)))
    return q * np.copysign(1.0, np.diag(r))


class HasParameters(Protocol):
    """What `Parameter` needs of its owner."""

    @property
    def parameters(self) -> Mapping[str, np.ndarray]: ...  # noqa: D102


class Parameter:
    """A parameter as an attribute: reading gives a live, writeable view, assigning copies into it.

    Assigning raises TypeError or ValueError for what is not a finite real array of its shape; a
    bias may be given as a column.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, model: None, owner: type) -> Parameter: ...

    @overload
    def __get__(self, model: HasParameters, owner: type) -> np.ndarray: ...

    def __get__(self, model: HasParameters | None, owner: type) -> Parameter | np.ndarray:
        return self if model is None else model.parameters[self._name]

    def __set__(self, model: HasParameters, value: Any) -> None:
        view = model.parameters[self._name]
        view[...] = checks.parameter(self._name, value, view.shape, view.dtype)
