"""The parameters of a network: one flat vector, named views into it, and how they start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import validation
from ..cells.specs import CELLS
from .memory import aligned
from .network import Network, parameter_offsets


def ending(net: Network, run: int) -> str:
    """Return what the names of a run's parameters end in: the layer and the direction."""
    layer, reverse = divmod(run, net.directions)
    return (f"_l{layer}" if layer else "") + ("_reverse" if reverse else "")


def parameter_views(flat: np.ndarray, net: Network) -> dict[str, np.ndarray]:
    """Name the parts of a network's flat vector of parameters.

    Names of layer k > 0 end in ``_l{k}``, then names of the reverse direction in ``_reverse``.

    Returns
    -------
    dict of str to ndarray
        Writeable views: Wxh (G H, I), Whh (G H, H), bh (G H,); the vectors of the cell, (H,) or
        (n, H); with a head Why (O, D H), by (O,); learned initial states h0, and c0 of a cell with
        memory, (layers * D, H); embedding (vocabulary, E).
    """
    at, H, DH = parameter_offsets(net), net.hidden_size, net.directions * net.hidden_size
    found: dict[str, np.ndarray] = {}
    for run in range(net.runs):
        end = ending(net, run)
        I, start, place = net.run_input(run), at.W[run], at.vectors[run]
        W = flat[start:place].reshape(net.gates * H, I + 1 + H)
        found |= {f"Wxh{end}": W[:, :I], f"Whh{end}": W[:, I + 1 :], f"bh{end}": W[:, I]}
        for vector in CELLS[net.cell].vectors:
            rows = flat[place : place + vector.n * H].reshape(vector.n, H)
            found[f"{vector.name}{end}"] = rows if vector.n > 1 else rows[0]
            place += vector.n * H
    if net.output_size:
        V = flat[at.V : at.state].reshape(net.output_size, 1 + DH)
        found |= {"Why": V[:, 1:], "by": V[:, 0]}
    if net.learned_state:
        state = flat[at.state : at.embedding].reshape(net.states, net.runs, H)
        found |= dict(zip(("h0", "c0"), state, strict=False))
    if net.embedding:
        found["embedding"] = flat[at.embedding :].reshape(net.input_size, net.embedding)
    return found


def gate_rows(net: Network, gate: str) -> slice:
    """Rows of a gate in Wxh, Whh and bh."""
    start = CELLS[net.cell].gates.index(gate) * net.hidden_size
    return slice(start, start + net.hidden_size)


MATRICES = ("Wxh", "Whh", "Why")  #: what is penalised if nothing is named


def penalty_coefficients(l1: Any, l2: Any, net: Network) -> np.ndarray | None:
    """Coefficients of each parameter, (2 * P,): those of |p|, then those of ``p**2 / 2``.

    Parameters
    ----------
    l1, l2 : float, or dict of name to float, or None
        A number is for the matrices Wxh, Whh and Why of all layers and directions; a dict names
        parameters, one such as ``Whh_l1``, or by ``Whh`` those of all layers and directions.
    net : Network

    Raises
    ------
    TypeError, ValueError
        No such parameter, no number, below 0.
    """
    if l1 is l2 is None:
        return None
    flat = aligned(2 * net.n_parameters, net.dtype)
    for argument, value, own in zip(("l1", "l2"), (l1, l2), np.split(flat, 2), strict=True):
        named = parameter_views(own, net)
        if value is not None and not isinstance(value, Mapping):
            value = dict.fromkeys(MATRICES, _coefficient(argument, value, net))
        for name, factor in (value or {}).items():
            for key in chosen_names(argument, name, named):
                named[key][...] = _coefficient(f"{argument}[{name!r}]", factor, net)
    return flat if flat.any() else None


def chosen_names(argument: str, name: Any, named: Iterable[str]) -> list[str]:
    """Return the parameters that a name stands for: one, or those of all layers and directions.

    Raises
    ------
    ValueError
        There is none; `argument` is what named it.
    """
    names = list(named)
    chosen = [key for key in names if name in (key, key.partition("_")[0])]
    if not chosen:
        raise ValueError(
            f"{argument} names {validation.shown(name)}, but the parameters are {', '.join(names)}"
        )
    return chosen


def _coefficient(name: str, value: Any, net: Network) -> float:
    return validation.fits(name, validation.rate(name, value), net.dtype)
