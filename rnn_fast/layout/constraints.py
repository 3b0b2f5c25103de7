"""Constraints of parameters: what is said of them by name, and as vectors for compiled code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import validation
from .network import Network
from .parameters import chosen_names, parameter_views


@dataclass(frozen=True, eq=False)
class Constraint:
    """Constraints of one parameter; None: there is none.

    Attributes
    ----------
    frozen : array of bool, of the parameter's shape
        True: keeps its value.
    mask : array of bool, of the parameter's shape
        False: is zero.
    sign : array of int8, of the parameter's shape
        1: not below 0; -1: not above 0; 0: free.
    max_norm : float
        Largest Euclidean norm of a row.
    """

    frozen: np.ndarray | None = None
    mask: np.ndarray | None = None
    sign: np.ndarray | None = None
    max_norm: float | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    def record(self) -> dict[str, Any]:
        """Return the constraint in terms of JSON: an array as the bits of its positions, in hex."""
        negative = None if self.sign is None else self.sign < 0
        positive = None if self.sign is None else self.sign > 0
        flags = (self.frozen, self.mask, positive, negative)
        bits = (None if each is None else np.packbits(each).tobytes().hex() for each in flags)
        return {**dict(zip(FLAGS, bits, strict=True)), "max_norm": self.max_norm}


FLAGS = ("frozen", "mask", "positive", "negative")  #: arrays of a record


def constraints_from(net: Network, records: Any) -> dict[str, Constraint]:
    """Return the constraints of a network from their records by name.

    Raises
    ------
    KeyError, TypeError, ValueError
        These are no such records.
    """
    views = parameter_views(np.broadcast_to(np.int8(0), net.n_parameters), net)
    found: dict[str, Constraint] = {}
    for key, record in dict(records).items():
        shape, size = views[key].shape, views[key].size
        flags = {}
        for name in FLAGS:
            bits = None if record[name] is None else bytes.fromhex(record[name])
            if bits is not None and len(bits) != -(-size // 8):
                raise ValueError("an array of another size")
            if bits is not None:
                flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=size)
                flags[name] = flat.reshape(shape).astype(bool)
        sign = None
        if "positive" in flags:
            sign = flags["positive"].astype(np.int8) - flags["negative"]
        said = (flags.get("frozen"), flags.get("mask"), sign, record["max_norm"])
        found |= constraints_of(net, key, *said, exact=True)
    return found


def constraints_of(
    net: Network, name: Any, frozen: Any, mask: Any, sign: Any, max_norm: Any, exact: bool = False
) -> dict[str, Constraint]:
    """Check what is said of a parameter; return the constraint of each that the name stands for.

    Parameters
    ----------
    net : Network
    name : str
        One parameter such as ``Whh_l1``, or by ``Whh`` those of all layers and directions.
    frozen, mask, sign, max_norm
        As for `Constraint`; arrays broadcast to the parameter's shape.
    exact : bool
        Whether the name is of one parameter.

    Raises
    ------
    TypeError, ValueError
        No such parameter; a wrong type, value or shape; a limit of the norm of a vector, or of
        rows that are frozen.
    """
    views = parameter_views(np.broadcast_to(np.int8(0), net.n_parameters), net)
    if not isinstance(name, str):
        raise TypeError(f"name must be a string; got {validation.shown(name)}")
    frozen = None if frozen is False else _array("frozen", frozen, (0, 1))
    mask, sign = _array("mask", mask, (0, 1)), _array("sign", sign, (-1, 0, 1))
    if max_norm is not None:
        validation.fits("max_norm", validation.above_zero("max_norm", max_norm), net.dtype)
        max_norm = float(max_norm)
        if frozen is not None:
            raise ValueError("max_norm would move frozen parameters; got both")
    found = {}
    for key in [name] if exact else chosen_names("name", name, views):
        shape = views[key].shape
        if max_norm is not None and len(shape) < 2:
            raise ValueError(f"max_norm limits rows of a matrix, but {key} is a vector")
        found[key] = Constraint(
            frozen=_spread("frozen", frozen, key, shape, bool),
            mask=_spread("mask", mask, key, shape, bool),
            sign=_spread("sign", sign, key, shape, np.int8),
            max_norm=max_norm,
        )
    return found


def _array(argument: str, value: Any, allowed: tuple[int, ...]) -> np.ndarray | None:
    """Return an argument as an array of the numbers allowed in it."""
    if value is None:
        return None
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument} must be numbers; got {validation.shown(value)}")
    if not np.isin(array, allowed).all():
        numbers = ", ".join(map(str, allowed))
        raise ValueError(f"{argument} must hold only {numbers}; got {validation.shown(value)}")
    return array


def _spread(
    argument: str, array: np.ndarray | None, key: str, shape: tuple[int, ...], kind: Any
) -> np.ndarray | None:
    """Return a read-only array of a parameter's shape."""
    if array is None:
        return None
    try:
        spread = np.array(np.broadcast_to(array, shape), kind)
    except ValueError:
        raise ValueError(
            f"{argument} has shape {array.shape}, which does not broadcast to the shape {shape} "
            f"of {key}"
        ) from None
    spread.setflags(write=False)
    return spread


@dataclass(frozen=True, eq=False)
class Bounds:
    """Constraints of a network as vectors of its P flat parameters.

    Attributes
    ----------
    lower, upper : (P,) array
        Bounds of each parameter; `upper` is below `lower` where a parameter keeps its value.
    rows : list of int64 array
        Places of the parameters of each row whose norm is limited.
    limits : list of float
        Limits of these norms.
    """

    lower: np.ndarray
    upper: np.ndarray
    rows: list[np.ndarray]
    limits: list[float]

    @property
    def fixed(self) -> np.ndarray:
        """True where no update may move a parameter, (P,)."""
        return ~(self.lower < self.upper)

    def leaves_free(self, start: int) -> bool:
        """Return whether the parameters from place `start` on are free."""
        bounded = np.isfinite(self.lower) | np.isfinite(self.upper) | self.fixed
        return not bounded[start:].any() and all(row[0] < start for row in self.rows)


def bounds_of(net: Network, constraints: Mapping[str, Constraint]) -> Bounds:
    """Return the constraints of all parameters."""
    P = net.n_parameters
    bounds = Bounds(np.full(P, -np.inf, net.dtype), np.full(P, np.inf, net.dtype), [], [])
    lower, upper = parameter_views(bounds.lower, net), parameter_views(bounds.upper, net)
    places = parameter_views(np.arange(P), net)
    for name, said in constraints.items():
        low, high = lower[name], upper[name]
        if said.sign is not None:
            low[said.sign > 0], high[said.sign < 0] = 0, 0
        if said.frozen is not None:
            low[said.frozen], high[said.frozen] = np.inf, -np.inf
        if said.mask is not None:
            low[~said.mask], high[~said.mask] = 0, 0
        if said.max_norm is not None:
            bounds.rows.extend(places[name])
            bounds.limits.extend([said.max_norm] * len(places[name]))
    return bounds


def project(parameter: np.ndarray, said: Constraint) -> None:
    """Move a parameter to the nearest values that a constraint allows, the frozen ones as well."""
    if said.sign is not None:
        np.maximum(parameter, 0, out=parameter, where=said.sign > 0)
        np.minimum(parameter, 0, out=parameter, where=said.sign < 0)
    if said.mask is not None:
        parameter[~said.mask] = 0
    if said.max_norm is not None:
        norms = np.linalg.norm(parameter.astype(np.float64), axis=1, keepdims=True)
        shrunk = 1 - 4 * np.finfo(parameter.dtype).eps
        factor = said.max_norm * shrunk / np.maximum(norms, said.max_norm)
        np.multiply(parameter, factor, out=parameter, where=norms > said.max_norm)
