"""The parts of a model in a table: shapes, parameters, memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..cells.specs import CELLS
from ..layout.batch import bytes_per_step
from ..layout.network import Network
from ..layout.parameters import ending
from ..training.markup import table

HEAD = ("part", "outputs", "parameters", "numbers")


class Part(NamedTuple):
    """A part of a network."""

    name: str
    outputs: str  #: their shape, with N sequences of T steps
    parameters: tuple[str, ...] = ()


def shape(*axes: object) -> str:
    """Return a shape as Python writes it."""
    return f"({', '.join(map(str, axes))}{',' * (len(axes) == 1)})"


def parts_of(net: Network) -> Iterator[Part]:
    """Yield the parts of a network, in the order in which a sequence goes through them."""
    if net.embedding:
        yield Part("input", shape("N", "T"))
        yield Part("embedding", shape("N", "T", net.embedding), ("embedding",))
    else:
        yield Part("input", shape("N", "T", net.input_size))
    if net.learned_state:
        yield Part("initial states", "", ("h0", "c0")[: net.states])
    kinds = ("Wxh", "Whh", "bh", *(vector.name for vector in CELLS[net.cell].vectors))
    for run in range(net.runs):
        layer, reverse = divmod(run, net.directions)
        names = tuple(f"{kind}{ending(net, run)}" for kind in kinds)
        yield Part(f"layer {layer}{', reverse' * reverse}", shape("N", "T", net.hidden_size), names)
    if net.output_size:
        steps = ("T",) * net.sequences
        yield Part("read-out", shape("N", *steps, *net.output_form), ("Why", "by"))


class Summarised:
    """The methods of a model, or of its layers alone, that describe it."""

    _net: Network
    _flat: np.ndarray
    _views: dict[str, np.ndarray]

    def summary(self) -> str:
        """Return a table of the parts of the network, to print.

        A row has the shape of the part's outputs for N sequences of T steps, of the read-out those
        of `decision_function`; its parameters with their shapes; and how many numbers these are.
        The last line is about memory.  Training takes as much as the parameters for the gradient,
        and again for each vector of the optimizer's state; and it keeps activations of the
        sequences that a thread works on at a time, a register's width of them.
        """
        rows = [HEAD, *self._rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        most = max(len(row[3]) for row in rows)
        lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3].rjust(most)]) for row in rows]
        return "\n".join([self._title(), *lines, self._memory()])

    def _repr_html_(self) -> str:
        return table(self._title(), HEAD, self._rows(), self._memory())

    def _rows(self) -> list[tuple[str, str, str, str]]:
        """Return the cells of the table."""
        rows = []
        for part in parts_of(self._net):
            arrays = {name: self._views[name] for name in part.parameters}
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            size = sum(array.size for array in arrays.values())
            rows.append((part.name, part.outputs, shapes, f"{size:,}"))
        return rows

    def _title(self) -> str:
        return f"{type(self).__name__}: {self._flat.size:,} parameters in {self._net.dtype}"

    def _memory(self) -> str:
        return (
            f"{self._flat.nbytes:,} bytes of parameters; training keeps "
            f"{bytes_per_step(self._net):,} bytes for each step of a sequence"
        )
