"""The constants of a graph that hold a network's parameters, there and back with the same bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..layout.network import Network
from ..layout.parameters import MATRICES
from .onnx_operators import Operator, operator_of

STATES = ("h0", "c0")  #: learned initial states, whose names the graph's inputs take
Arrays = dict[str, np.ndarray]


def operator_for(net: Network) -> Operator | None:
    """Return the operator for a network's layers; None: they are written as a Scan.

    onnxruntime has the operators in float32 alone (version 1.32).
    """
    return operator_of(net.cell) if net.dtype == np.float32 else None


def endings(layer: int, directions: int) -> list[str]:
    """Return the endings of the names of a layer's parameters, of each direction."""
    return [(f"_l{layer}" if layer else "") + end for end in ("", "_reverse")[:directions]]


def packed(net: Network, parameters: Mapping[str, np.ndarray]) -> Arrays:
    """Return constants by name: weights of operators, or else parameters, matrices transposed."""
    operator, rest = operator_for(net), dict(parameters)
    constants: Arrays = {}
    if operator is not None:
        for layer in range(net.layers):
            ends = endings(layer, net.directions)
            runs = [operator.pack(parameters, end) for end in ends]
            constants |= {f"{key}{layer}": np.stack([run[key] for run in runs]) for key in runs[0]}
            for run, end in zip(runs, ends, strict=True):
                for name in operator.unpack(run, end):
                    del rest[name]
    return constants | {_renamed(name): _turned(name, array) for name, array in rest.items()}


def unpacked(net: Network, constants: Mapping[str, np.ndarray]) -> Arrays:
    """Return the parameters that `packed` has put into constants; among these may be others.

    Raises
    ------
    LookupError, ValueError
        A constant of an operator is missing, or has another shape.
    """
    operator = operator_for(net)
    parameters: Arrays = {}
    if operator is not None:
        for layer in range(net.layers):
            keys = [key for key in "WRBP" if key != "P" or operator.peepholes]
            for d, end in enumerate(endings(layer, net.directions)):
                run = {key: constants[f"{key}{layer}"][d] for key in keys}
                parameters |= operator.unpack(run, end)
    for name, array in constants.items():
        own = name.removesuffix(".T").removesuffix(".start")
        parameters.setdefault(own, _turned(own, array))
    return parameters


def _is_matrix(name: str) -> bool:
    return name.partition("_")[0] in MATRICES


def _renamed(name: str) -> str:
    return f"{name}.T" if _is_matrix(name) else f"{name}.start" if name in STATES else name


def _turned(name: str, array: np.ndarray) -> np.ndarray:
    return array.T if _is_matrix(name) else array
