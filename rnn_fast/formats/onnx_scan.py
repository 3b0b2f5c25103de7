"""Recurrent layers as ONNX's Scan, for cells or dtypes that no operator of ONNX computes.

The cell's declaration says which products a step has; its functions of a `Point` are run on
symbols, and leave their arithmetic as nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..cells.point import Point
from ..cells.specs import CELLS, Cell
from ..cells.specs.cell import ONE, H, X
from ..layout.network import Network
from .onnx_graph import Graph

UFUNCS: dict[Any, str] = {
    np.add: "Add",
    np.subtract: "Sub",
    np.multiply: "Mul",
    np.true_divide: "Div",
    np.negative: "Neg",
    np.tanh: "Tanh",
    np.exp: "Exp",
    np.log: "Log",
    np.sqrt: "Sqrt",
    np.absolute: "Abs",
    np.less: "Less",
    np.less_equal: "LessOrEqual",
    np.greater: "Greater",
    np.greater_equal: "GreaterOrEqual",
}


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """A value of a graph, (N, H) or less, on which NumPy's arithmetic adds nodes.

    Parameters
    ----------
    graph : Graph
    name : str
        Name of the value.
    is_whole : bool
        True of the shape (N, H); otherwise it is broadcast to it.
    """

    def __init__(self, graph: Graph, name: str, is_whole: bool = True) -> None:
        self.graph, self.name, self.is_whole = graph, name, is_whole

    def _node(self, operator: str, *operands: Any) -> Symbol:
        symbols = [
            each
            if isinstance(each, Symbol)
            else Symbol(self.graph, self.graph.constant(each), False)
            for each in operands
        ]
        name = self.graph.add(operator, *(each.name for each in symbols))
        return Symbol(self.graph, name, any(each.is_whole for each in symbols))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc is np.log1p:
            return self._node("Log", 1.0 + self)
        if method != "__call__" or options or ufunc not in UFUNCS:
            return NotImplemented
        return self._node(UFUNCS[ufunc], *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is not np.where or options:
            return NotImplemented
        condition, x, y = args
        if not isinstance(condition, Symbol):  # of two numbers
            return x if condition else y
        return self._node("Where", *args)


def scanned(
    graph: Graph, net: Network, end: str, x: str, states: list[str], inside: str
) -> tuple[str, list[str]]:
    """Add a run of a cell over steps (T, N, I), in their order.

    Parameters
    ----------
    graph : Graph
        With the run's parameters as constants, matrices transposed.
    net : Network
    end : str
        Ending of the names of the run's parameters.
    x : str
    states : list of str
        Initial states (N, H).
    inside : str
        (T, N, 1), True for steps before a sequence's end; "" if all are.

    Returns
    -------
    str, list of str
        h of all steps, (T, N, H), and the final states, (N, H).
    """
    step = _Step(graph, net, end)
    body, inputs, kinds = step.body, step.before(x), ("h", "c")[: net.states]
    old = [body.name(f"{kind}_before") for kind in kinds]
    rows = [body.name("row") for _ in inputs]
    mask = [body.name("inside")] if inside else []
    new = step.after(rows, old, *mask)
    shape = ("N", net.hidden_size)
    taken = [graph.value(name, shape) for name in old + rows]
    taken += [graph.value(name, ("N", 1), np.bool_) for name in mask]
    made = [graph.value(name, shape) for name in [*new, body.add("Identity", new[0])]]
    *finals, y = graph.add_all(
        "Scan",
        *[*states, *inputs, *([inside] if inside else [])],
        names=(*(graph.name(f"{kind}_final") for kind in kinds), graph.name("h")),
        body=body.proto(f"step{end}", taken, made),
        num_scan_inputs=len(rows) + len(mask),
    )
    return y, finals


class _Step:
    """A step of a run: the part that is computed for all steps at once, and the body.

    The body has the constants that it reads, for not every program lets it read those around it.
    """

    def __init__(self, graph: Graph, net: Network, end: str) -> None:
        self.graph, self.cell, self.net, self.end = graph, CELLS[net.cell], net, end
        self.body = Graph(net.dtype, f"step{end}.")
        self.Wh = graph.move(f"Whh{end}.T", self.body)

    def before(self, x: str) -> list[str]:
        """Add the part of each row with a gate that does not depend on states, (T, N, H)."""
        graph, cell, G, size = self.graph, self.cell, self.net.gates, self.net.hidden_size
        products = graph.parts(graph.add("MatMul", x, f"Wxh{self.end}.T"), G, size, axis=2)
        biases = graph.parts(f"bh{self.end}", G, size, axis=0)
        terms: dict[int, list[str]] = {place: [] for place, row in enumerate(cell.rows) if row.gate}
        for piece in cell.pieces:
            if piece.meets == X:
                terms[piece.row].append(products[piece.gate])
            elif piece.meets == ONE:
                bias = piece.vector is not None and cell.rows[piece.row].bias
                terms[piece.row].append(f"{bias}{self.end}" if bias else biases[piece.gate])
        whole = graph.add("Shape", products[0])
        rows = []
        for parts in terms.values():
            if set(products).intersection(parts):
                rows.append(parts[0] if len(parts) == 1 else graph.add("Add", *parts))
            else:  # the same for all steps
                rows.append(graph.add("Expand", parts[0] if parts else graph.constant(0), whole))
        return rows

    def after(self, rows: list[str], states: list[str], inside: str = "") -> list[str]:
        """Add the step to the body, and return the new states."""
        body, cell, left = self.body, self.cell, iter(rows)
        a: list[Any] = [Symbol(body, next(left)) if row.gate else None for row in cell.rows]
        early = [piece for piece in cell.pieces if piece.meets == H and piece.late is None]
        for piece, product in zip(early, self._products(early, states[0]), strict=True):
            a[piece.row] = a[piece.row] + product
        h, *c = [Symbol(body, state) for state in states]
        point = Point(
            a=tuple(a),
            h_prev=h,
            h=None,
            c_prev=c[0] if c else None,
            c=None,
            vectors=tuple(self._vectors()),
            options=self.net.cell_options,
        )
        if cell.late_row is not None:
            point = self._with_late(point)
        _, *new = _function(cell, "forward")(point)
        return [self._kept(value, old, inside) for value, old in zip(new, (h, *c), strict=True)]

    def _vectors(self) -> Iterator[Symbol]:
        """Move the vectors that the maths reads into the body, and yield their rows."""
        biases = {row.bias for row in self.cell.rows}
        for vector in self.cell.vectors:
            if vector.name not in biases:
                name = self.graph.move(f"{vector.name}{self.end}", self.body)
                for part in self.body.parts(name, vector.n, 1, axis=0):
                    yield Symbol(self.body, part, False)

    def _products(self, pieces: list[Any], h: str) -> list[Symbol]:
        """Add the products of h_{t-1} with the gates of pieces, as one."""
        body, gates = self.body, [piece.gate for piece in pieces]
        if not gates:
            return []
        every = gates == [*range(self.net.gates)]
        W = self.Wh if every else body.joined(*(self._columns(gate) for gate in gates), axis=1)
        parts = body.parts(body.add("MatMul", h, W), len(gates), self.net.hidden_size, axis=1)
        return [Symbol(body, part) for part in parts]

    def _columns(self, gate: int) -> str:
        """Add a gate's columns of the transposed Whh."""
        size = self.net.hidden_size
        return self.body.cut(self.Wh, gate * size, (gate + 1) * size, 1)

    def _with_late(self, point: Point) -> Point:
        """Add `reset` and the late products."""
        rows = list(_function(self.cell, "reset")(point))
        for piece in self.cell.pieces:
            if piece.late is not None:
                late = rows[piece.late].name
                product = self.body.add("MatMul", late, self._columns(piece.gate))
                rows[piece.row] = rows[piece.row] + Symbol(self.body, product)
        return point._replace(a=tuple(rows))

    def _kept(self, value: Any, old: Symbol, inside: str) -> str:
        """Return a new state, or after a sequence's end the old one."""
        if not (isinstance(value, Symbol) and value.is_whole):
            value = 0.0 * old + value
        return self.body.add("Where", inside, value.name, old.name) if inside else value.name


def _function(cell: Cell, name: str) -> Any:
    """Return a function of a cell's maths.

    Raises
    ------
    ValueError
        The cell was registered with compiled maths alone.
    """
    function = cell.function(name)
    if function is None:
        raise ValueError(f"the maths of cell {cell.name!r} is known to compiled programs alone")
    return function
