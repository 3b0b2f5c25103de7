"""Operators of ONNX that compute as built-in cells, and the weights that they take.

RNN, GRU and LSTM as https://onnx.ai/onnx/operators defines them.  For each direction they take
W (G H, I), R (G H, H), B = [Wb, Rb] (2 G H,), whose halves are added where nothing else is said,
and P (3 H,) of an LSTM with peepholes, in a gate order of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..cells.specs import CELLS

Arrays = dict[str, np.ndarray]


class Operator(NamedTuple):
    """An operator with the attributes under which it computes as a cell."""

    cell: str  #: key in `CELLS`
    name: str  #: ONNX's
    gates: tuple[str, ...]  #: of the cell, in ONNX's order
    activations: tuple[str, ...]  #: ONNX's, of one direction
    model: str  #: name of the model in files
    options: Mapping[str, Any] = {}  #: arguments of the model that ask for the cell
    attributes: Mapping[str, int] = {}
    second_bias: tuple[str, str] | None = None  #: gate whose Rb counts apart, and its vector
    peepholes: tuple[str, tuple[int, ...]] | None = None  #: a vector, its rows in ONNX's order

    @property
    def has_memory(self) -> bool:
        """True if there is a state c beside h."""
        return CELLS[self.cell].has_memory

    def node_attributes(self, directions: int) -> dict[str, Any]:
        """Return the attributes of a node: `attributes`, and activations that are no default."""
        default = next(each for each in OPERATORS if each.name == self.name)
        if self.activations == default.activations:
            return dict(self.attributes)
        return {**self.attributes, "activations": self.activations * directions}

    def pack(self, parameters: Mapping[str, np.ndarray], end: str = "") -> Arrays:
        """Return W, R, B, and P with peepholes, of the run whose names end in `end`."""
        first = parameters[f"bh{end}"]
        second = np.zeros_like(first)
        if self.second_bias is not None:
            gate, vector = self.second_bias
            second[self._rows(gate, len(first))] = parameters[f"{vector}{end}"]
        packed = {
            "W": self._ordered(parameters[f"Wxh{end}"]),
            "R": self._ordered(parameters[f"Whh{end}"]),
            "B": np.concatenate([self._ordered(first), self._ordered(second)]),
        }
        if self.peepholes is not None:
            vector, order = self.peepholes
            packed["P"] = np.concatenate([parameters[f"{vector}{end}"][row] for row in order])
        return packed

    def unpack(self, packed: Mapping[str, np.ndarray], end: str = "") -> Arrays:
        """Return the parameters of a run; `pack` of them has the same bits."""
        first, second = (self._reordered(half) for half in np.split(packed["B"], 2))
        parameters = {
            f"Wxh{end}": self._reordered(packed["W"]),
            f"Whh{end}": self._reordered(packed["R"]),
        }
        if self.second_bias is not None:
            gate, vector = self.second_bias
            rows = self._rows(gate, len(first))
            parameters[f"{vector}{end}"] = second[rows].copy()
            second[rows] = 0
        # -0.0 + 0.0 is 0.0
        parameters[f"bh{end}"] = np.where(second == 0, first, first + second)
        if self.peepholes is not None:
            vector, order = self.peepholes
            parts = np.split(packed["P"], len(order))
            parameters[f"{vector}{end}"] = np.stack([parts[order.index(i)] for i in sorted(order)])
        return parameters

    def _ordered(self, rows: np.ndarray) -> np.ndarray:
        blocks = np.split(rows, len(self.gates))
        return np.concatenate([blocks[CELLS[self.cell].gates.index(gate)] for gate in self.gates])

    def _reordered(self, rows: np.ndarray) -> np.ndarray:
        blocks = np.split(rows, len(self.gates))
        return np.concatenate([blocks[self.gates.index(gate)] for gate in CELLS[self.cell].gates])

    def _rows(self, gate: str, n_rows: int) -> slice:
        H = n_rows // len(self.gates)
        start = CELLS[self.cell].gates.index(gate) * H
        return slice(start, start + H)


SIGMOIDS = ("Sigmoid", "Tanh")
LSTM = Operator("lstm", "LSTM", ("i", "o", "f", "g"), (*SIGMOIDS, "Tanh"), "lstm")
OPERATORS = (
    Operator("tanh", "RNN", ("a",), ("Tanh",), "rnn"),
    Operator("relu", "RNN", ("a",), ("Relu",), "rnn", {"nonlinearity": "relu"}),
    Operator(
        "gru",
        "GRU",
        ("z", "r", "n"),
        SIGMOIDS,
        "gru",
        attributes={"linear_before_reset": 1},
        second_bias=("n", "bhn"),
    ),
    Operator("gru_before", "GRU", ("z", "r", "n"), SIGMOIDS, "gru", {"reset_after": False}),
    LSTM,
    LSTM._replace(
        cell="lstm_peephole",
        options={"peepholes": True},
        peepholes=("peephole", (0, 2, 1)),  # of i, f, o; ONNX: i, o, f
    ),
)
SWITCHES = ("linear_before_reset",)  #: attributes that tell operators apart


def operator_of(cell: str) -> Operator | None:
    """Return the operator that computes as a cell; None if ONNX has none."""
    return next((each for each in OPERATORS if each.cell == cell), None)


def operator_like(
    name: str, activations: Iterable[str], attributes: Mapping[str, Any], has_peepholes: bool
) -> Operator | None:
    """Return the operator of a node; None if no cell computes so.

    Parameters
    ----------
    name : str
        RNN, GRU or LSTM.
    activations : iterable of str
        Of one direction, or none for ONNX's defaults.
    attributes : mapping
        All attributes of the node by name.
    has_peepholes : bool
        Whether the node has P.
    """
    names = tuple(each.capitalize() for each in activations)
    for each in (each for each in OPERATORS if each.name == name):
        names = names or each.activations  # the first is ONNX's default
        same = all(attributes.get(key, 0) == each.attributes.get(key, 0) for key in SWITCHES)
        if same and names == each.activations and has_peepholes == (each.peepholes is not None):
            return each
    return None
