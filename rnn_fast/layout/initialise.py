"""Initial values of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from .. import validation
from ..cells.specs import CELLS
from .network import Network

#: parameters of which each gate has a matrix of its own
BY_GATE = ("Wxh", "Whh")
#: the start of PyTorch's layers, within 1 / sqrt(H), and of its Linear; also of vectors
UNIFORM = "uniform"


def initialise(
    parameters: Mapping[str, np.ndarray],
    net: Network,
    generator: np.random.Generator,
    initial: Mapping[str, Any] | None = None,
) -> None:
    """Fill the parameters of a network with a start that learns well, or with `initial`.

    ``Wxh`` and ``Why`` are uniform with the variance 2 / (rows + columns) of Glorot and Bengio
    (2010), where each gate's rows of ``Wxh`` are a matrix of their own.  Each gate's square of
    ``Whh`` is a random orthogonal matrix (Saxe et al., 2014), which neither shrinks nor blows up
    states over many steps.  An embedding is normal, with rows of length 1 in the mean.  Vectors of
    the cell start where its declaration says, biases and initial states at zero.  On the
    tutorial's task and on the digits, read row by row, this start learned as well as or better
    than the uniform draws of PyTorch and the normal draws of the tutorial.

    All numbers are drawn in float64 and then rounded, so that both dtypes start from the same
    numbers.

    Parameters
    ----------
    parameters : mapping of str to ndarray
        Filled in this order.
    initial : mapping, optional
        By the name of a parameter, or by ``Whh`` of those of all layers and directions: a key of
        `STARTS` or `UNIFORM`, a pair (key, factor), a number, or ``f(shape, generator)`` that
        returns an array.

    Raises
    ------
    TypeError, ValueError
        `initial` has another name or value; nothing was drawn.  Or a function has returned what is
        no finite array of the shape.
    """
    starts = check_initial(initial, parameters)
    for name, array in parameters.items():
        kind = name.partition("_")[0]
        start = starts.get(name, starts.get(kind))
        if start is not None:
            with np.errstate(over="ignore"):
                array[...] = _drawn(name, start, array, net, generator)
            if not np.isfinite(array).all():
                raise ValueError(f"initial[{name!r}] must be finite in {array.dtype}")
        else:
            _fill(kind, array, net, generator)


def _fill(kind: str, array: np.ndarray, net: Network, generator: np.random.Generator) -> None:
    """Fill a parameter as `initialise` does by default."""
    vectors = {vector.name: vector.start for vector in CELLS[net.cell].vectors}
    if kind == "Wxh":
        for gate in np.split(array, net.gates):
            gate[...] = glorot(gate.shape, generator)
    elif kind == "Whh":
        for gate in np.split(array, net.gates):
            gate[...] = orthogonal(gate.shape, generator)
    elif kind == "Why":
        array[...] = glorot(array.shape, generator)
    elif kind == "embedding":
        array[...] = generator.standard_normal(array.shape) / np.sqrt(net.embedding)
    else:
        array[...] = vectors.get(kind, 0.0)


# ------------------------------------------------------------------------------ the user's choice


def check_initial(initial: Any, parameters: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the starts by name: a number, a function, or a pair of a name and a factor.

    Raises
    ------
    TypeError, ValueError
        As `initialise`.
    """
    if initial is None:
        return {}
    if not isinstance(initial, Mapping):
        raise TypeError(f"initial must be a dict by parameters; got {validation.shown(initial)}")
    starts = {}
    for name, value in initial.items():
        arrays = [a for key, a in parameters.items() if name in (key, key.partition("_")[0])]
        if not arrays:
            raise ValueError(
                f"initial names {validation.shown(name)}, but the parameters are "
                f"{', '.join(parameters)}"
            )
        starts[name] = _start(f"initial[{name!r}]", value)
        for_matrices = isinstance(starts[name], tuple) and starts[name][0] in STARTS
        if for_matrices and arrays[0].ndim < 2:
            raise ValueError(
                f"initial[{name!r}] must be {UNIFORM!r}, a number or a function, for {name} is no "
                f"matrix; got {validation.shown(value)}"
            )
    return starts


def _start(name: str, value: Any) -> Any:
    """Return a checked start."""
    if callable(value):
        return value
    if isinstance(value, Real):
        return validation.finite(name, value)
    rules = (*STARTS, UNIFORM)
    parts = value if isinstance(value, (tuple, list)) else (value, 1.0)
    if len(parts) != 2 or not isinstance(parts[0], str):
        raise TypeError(
            f"{name} must be one of {', '.join(map(repr, rules))}, a pair of one and a factor, a "
            f"number, or a function of shape and generator; got {validation.shown(value)}"
        )
    return validation.choice(name, parts[0], rules), validation.finite(name, parts[1])


def _drawn(
    name: str, start: Any, array: np.ndarray, net: Network, generator: np.random.Generator
) -> Any:
    """Return what a parameter starts with."""
    if isinstance(start, float):
        return start
    if callable(start):
        values = np.asarray(start(array.shape, generator))
        if values.shape != array.shape or values.dtype.kind not in "iuf":
            raise ValueError(
                f"initial[{name!r}] must return real numbers of shape {array.shape}; got "
                f"{values.dtype} of shape {values.shape}"
            )
        return values
    kind, (rule, factor) = name.partition("_")[0], start
    if rule == UNIFORM:
        height = net.directions * net.hidden_size if kind in ("Why", "by") else net.hidden_size
        bound = factor / np.sqrt(height)
        return generator.uniform(-bound, bound, array.shape)
    blocks = np.split(array, net.gates if kind in BY_GATE else 1)
    return np.concatenate([factor * STARTS[rule](block.shape, generator) for block in blocks])


def glorot(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Draw an array, uniform with variance 2 / (rows + columns)."""
    bound = np.sqrt(6 / sum(shape))
    return generator.uniform(-bound, bound, shape)


def orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Draw a matrix with orthonormal rows or columns, uniform over all of them (Mezzadri, 2007)."""
    rows, columns = shape
    q, r = np.linalg.qr(generator.standard_normal((max(shape), min(shape))))
    q = q * np.copysign(1.0, np.diag(r))
    return q if rows >= columns else q.T


def identity(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Return ones on the diagonal and zeros elsewhere (Le, Jaitly and Hinton, 2015)."""
    return np.eye(shape[0], shape[1])


def gaussian(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Draw a normal matrix: a square of spectral radius 1, others of variance 1 / columns."""
    rows, columns = shape
    draws = generator.standard_normal(shape)
    if rows == columns:
        return draws / np.abs(np.linalg.eigvals(draws)).max()
    return draws / np.sqrt(columns)


#: starts of matrices by name
STARTS: dict[str, Callable[[tuple[int, ...], np.random.Generator], np.ndarray]] = {
    "glorot": glorot,
    "orthogonal": orthogonal,
    "identity": identity,
    "gaussian": gaussian,
}


def chrono(n: int, longest: float, generator: np.random.Generator) -> np.ndarray:
    """Draw forget biases of n units that remember for 1 to `longest` steps.

    They are log(u), u uniform in [1, longest - 1]; the input gates take the negative (Tallec and
    Ollivier, Can recurrent neural networks warp time?, ICLR 2018).
    """
    return np.log(generator.uniform(1.0, longest - 1.0, n))
