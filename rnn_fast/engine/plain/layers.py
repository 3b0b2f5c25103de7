"""The layers of a network in NumPy, step by step, units by samples.

Arrays are (units, samples), so that each row of a_t lies in one piece.  The products follow from
the declaration of the cell, and its functions are those of `Cell.function`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ...cells.point import Point
from ...cells.specs import CELLS
from ...cells.specs.cell import ONE, H, Piece, X
from ...errors import CompilerMissing
from ...layout.network import Network, parameter_offsets


class Product(NamedTuple):
    """Weights of consecutive rows of a_t, which meet the same numbers."""

    rows: slice  #: units of a_t
    weights: np.ndarray  #: (units, numbers)


class Run:
    """One layer in one direction.

    Parameters
    ----------
    net : Network
    parameters : (n_parameters,) array
        Copied.
    run : int

    Raises
    ------
    CompilerMissing
        The cell has compiled maths alone.
    """

    def __init__(self, net: Network, parameters: np.ndarray, run: int) -> None:
        cell, size, at = CELLS[net.cell], net.hidden_size, parameter_offsets(net)
        forward, self._reset = cell.function("forward"), cell.function("reset")
        if forward is None or (self._reset is None) != (cell.late_row is None):
            raise CompilerMissing(f"the cell {cell.name!r}, without maths in NumPy,")
        self._forward: Any = forward
        self._late_row = cell.late_row or 0
        self._rows, self._size = len(cell.rows), size
        self._options = tuple(map(float, net.cell_options))
        W = parameters[at.W[run] : at.vectors[run]].reshape(net.gates, size, -1)
        end = at.vectors[run] + cell.n_vectors * size
        vectors = parameters[at.vectors[run] : end].reshape(-1, size, 1).copy()
        self._vectors = tuple(
            vectors[first + i] for first, n in cell.elementwise_vectors for i in range(n)
        )
        features = W.shape[2] - 1 - size
        early = [piece for piece in cell.pieces if piece.late is None]
        late = [piece for piece in cell.pieces if piece.late is not None]
        self._of_x = list(_products(early, X, W[..., :features]))
        self._of_h = list(_products(early, H, W[..., features + 1 :]))
        self._of_late = list(_products(late, H, W[..., features + 1 :]))
        self._bias = np.zeros((len(cell.rows), size, 1), net.dtype)
        for piece in early:
            if piece.meets == ONE:
                own = W[piece.gate, :, features, None]
                self._bias[piece.row] = own if piece.vector is None else vectors[piece.vector]
        self._bias = self._bias.reshape(-1, 1)

    def over(
        self, x: np.ndarray, state: np.ndarray, keeps: Iterable[np.ndarray | None] = ()
    ) -> None:
        """Run over the next T steps of n sequences.

        Parameters
        ----------
        x : (T, I, n) array
        state : (states, H, n) array
            Updated.
        keeps : iterable of (T, H, n) array or None
            Written: h, and c, after each step.
        """
        a = np.zeros((len(x), len(self._bias), x.shape[2]), x.dtype)
        for product in self._of_x:
            np.matmul(product.weights, x, out=a[:, product.rows])
        a += self._bias
        kept = [(place, array) for place, array in enumerate(keeps) if array is not None]
        early = [(a[:, rows], weights) for rows, weights in self._of_h]
        late = [(a[:, rows], weights) for rows, weights in self._of_late]
        now = [each.copy() for each in state]
        for t, rows in enumerate(a.reshape(len(x), self._rows, self._size, -1)):
            _add_products(early, t, now[0])
            h, c = (*now, None)[:2]
            point = Point(tuple(rows), h, None, c, None, self._vectors, self._options)
            if self._reset is not None:
                for row, value in zip(rows, self._reset(point), strict=True):
                    row[...] = value
                _add_products(late, t, rows[self._late_row])
            now = self._forward(point)[1:]
            for place, array in kept:
                array[t] = now[place]
        for each, last in zip(state, now, strict=True):
            each[...] = last


def _add_products(parts: list[tuple[np.ndarray, np.ndarray]], t: int, h: np.ndarray) -> None:
    """Add the products of h to their rows of a_t; each part has (T, units, n), and its weights."""
    for rows, weights in parts:
        own = rows[t]
        np.add(own, np.dot(weights, h), out=own)  # `@` takes 0.4 us more to begin


def _products(pieces: list[Piece], meets: int, weights: np.ndarray) -> Iterable[Product]:
    """Yield the products of the pieces that meet x or h, by the weights (gates, H, columns)."""
    own = sorted((piece.row, piece.gate) for piece in pieces if piece.meets == meets)
    size, columns = weights.shape[1:]
    while own:
        row, n = own[0][0], 1
        while n < len(own) and own[n][0] == row + n:
            n += 1
        gates = [gate for _, gate in own[:n]]
        yield Product(slice(row * size, (row + n) * size), weights[gates].reshape(-1, columns))
        del own[:n]


def layers_of(net: Network, parameters: np.ndarray) -> list[list[Run]]:
    """Return the runs of each layer, in both directions if there are."""
    D = net.directions
    runs = [Run(net, parameters, run) for run in range(net.runs)]
    return [runs[layer * D : (layer + 1) * D] for layer in range(net.layers)]


class Head:
    """The read-out: logits of the outputs of the top layer.

    Parameters
    ----------
    net : Network
    parameters : (n_parameters,) array
        Copied.
    """

    def __init__(self, net: Network, parameters: np.ndarray) -> None:
        at = parameter_offsets(net)
        V = parameters[at.V : at.state].reshape(net.output_size, -1).copy()
        self.by, self.Why = V[:, 0], V[:, 1:].copy()

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """Return logits (n, O) of outputs (n, D H)."""
        logits: np.ndarray = y @ self.Why.T + self.by
        return logits


def embedding_of(net: Network, parameters: np.ndarray) -> np.ndarray | None:
    """Return the learned vectors (vocabulary, E), if there are."""
    if not net.embedding:
        return None
    table: np.ndarray = parameters[parameter_offsets(net).embedding :].reshape(net.input_size, -1)
    return table


def learned_state_of(net: Network, parameters: np.ndarray) -> np.ndarray:
    """Return the initial state (states, runs, H): learned, or zeros."""
    shape, at = (net.states, net.runs, net.hidden_size), parameter_offsets(net)
    if not net.learned_state:
        return np.zeros(shape, net.dtype)
    return parameters[at.state : at.embedding].reshape(shape)
