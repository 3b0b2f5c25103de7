"""The model of a cell that a script declares."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import validation
from ..cells.declared import DECLARED
from ..cells.specs import CELLS, Cell
from .base import Model
from .recurrent import GRU, LSTM, LeakyRNN, SimpleRNN, documented, sizes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .architecture import NetworkOptions

TAKEN = [model.cell for model in (SimpleRNN, LeakyRNN, GRU, LSTM)]  #: names in files


@documented
class Recurrent(Model):
    """A network of a cell of your own, see `rnn_fast.cells.declare`.

    A file has the cell's name, not its maths: import the module that declares the cell, or run its
    declaration, before `rnn_fast.load`.  Unpickling imports the module.

    Parameters
    ----------
    cell : Cell or str
        What `rnn_fast.cells.declare` returned, or the name.
    cell_options : dict of str to float, optional
        Numbers that the cell's maths reads, where they are not its defaults.
    COMMON
    ATTRIBUTES
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | tuple[int, ...] = 1,
        *,
        cell: Cell | str,
        cell_options: Mapping[str, float] | None = None,
        **options: Unpack[NetworkOptions],
    ) -> None:
        spec = _declared(cell)
        numbers = _numbers(spec, cell_options)
        self._module = spec.maths[0][1].__module__
        super().__init__(
            spec.name,
            {"cell": spec.name.partition("@")[0], "cell_options": numbers},
            cell_options=tuple(numbers.values()),
            **sizes_of(input_size, hidden_size, output_size),
            **options,
        )
        for vector in spec.vectors:
            if hasattr(Model, vector.name):
                raise ValueError(
                    f"a vector cannot be named {vector.name!r}: models have a {vector.name}"
                )

    @property
    def cell(self) -> str:  # type: ignore[override]
        """The cell's name."""
        return self._arguments["cell"]

    @property
    def cell_options(self) -> dict[str, float]:
        """Numbers that the cell's maths reads."""
        return dict(self._arguments["cell_options"])

    def description(self) -> dict[str, Any]:
        """Return the cell, its module and the arguments of such a model, as JSON values."""
        return {**super().description(), "module": self._module}

    def __setstate__(self, state: dict[str, Any]) -> None:
        name, module, net = state["_arguments"]["cell"], state["_module"], state["_net"]
        if name not in DECLARED:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        if name not in DECLARED:
            raise ValueError(undeclared(name, module))
        net = net._replace(cell=DECLARED[name].name) if net.cell not in CELLS else net
        if len(state["_flat"]) != net.n_parameters:
            raise ValueError(f"the cell {name!r} of the model was declared otherwise")
        super().__setstate__({**state, "_net": net})


def undeclared(name: str, module: str) -> str:
    """Return the error about a model whose cell is not declared."""
    how = "run its declaration" if module == "__main__" else f"import {module}"
    return f"the cell {validation.shown(name)} of the model is not declared: first {how}"


def _declared(cell: Any) -> Cell:
    """Return a declared cell.

    Raises
    ------
    TypeError, ValueError
        There is no such cell, or files could not tell it from a built-in one.
    """
    if isinstance(cell, str):
        if cell not in DECLARED:
            names = ", ".join(map(repr, DECLARED)) or "none yet"
            raise ValueError(
                f"cell must be declared by rnn_fast.cells.declare (so far {names}); got "
                f"{validation.shown(cell)}{validation.hint(cell, DECLARED)}"
            )
        cell = DECLARED[cell]
    if not isinstance(cell, Cell) or CELLS.get(cell.name) is not cell or not cell.maths:
        raise TypeError(f"cell must be a declared cell or its name; got {validation.shown(cell)}")
    if cell.name.partition("@")[0] in TAKEN:
        raise ValueError(f"{cell.name.partition('@')[0]!r} is the name of a built-in model's cell")
    return cell


def _numbers(cell: Cell, given: Any) -> dict[str, float]:
    """Return the values of a cell's options."""
    if not isinstance(given, (Mapping, type(None))):
        raise TypeError(f"cell_options must be a dict; got {validation.shown(given)}")
    values = dict(cell.options)
    for name, value in (given or {}).items():
        if name not in values:
            names = ", ".join(values) or "none"
            raise ValueError(
                f"cell_options has {validation.shown(name)}, but the cell's options are {names}"
            )
        values[name] = validation.finite(f"cell_options[{name!r}]", value)
    return values
