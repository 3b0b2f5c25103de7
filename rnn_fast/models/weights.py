"""A vector of parameters, and their names as attributes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..cells.specs import CELLS
from ..cells.specs.cell import RESERVED
from ..data import checks
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.parameters import parameter_views
from .parameter import Parameter

#: names of parameters, without the layer and the direction, of models that may not have them
KINDS = (*RESERVED, *(vector.name for cell in CELLS.values() for vector in cell.vectors))


class Weights:
    """Parameters in one flat vector, each an attribute by its name."""

    _net: Network
    _made: ClassVar[tuple[str, ...]] = ("_views", "_parameters")  #: by `_bind`, from the vector

    def _bind(self, flat: np.ndarray) -> None:
        """Use `flat` as the vector of parameters."""
        self._flat = flat
        self._views = parameter_views(flat, self._net)
        self._parameters = {
            name: Parameter.of(name, view, flat) for name, view in self._views.items()
        }

    def _shown(self) -> None:
        """Take note that the caller may write to the parameters."""

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Parameters by name, as live, writeable views.

        In-place arithmetic such as ``model.Whh *= x`` raises ValueError, and writes nothing, if a
        result is not finite.
        """
        self._shown()
        return dict(self._parameters)

    def __getattr__(self, name: str) -> np.ndarray:
        """Return a parameter, as a live, writeable view."""
        parameter = self.__dict__.get("_parameters", {}).get(name)
        if parameter is not None:
            self._shown()
            return parameter
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        """Copy a value into a parameter, or set another attribute.

        Raises
        ------
        TypeError, ValueError
            The value is not a finite real array of the parameter's shape; a bias may also be a
            column.
        AttributeError
            This model does not have the parameter.
        """
        if name in self.__dict__.get("_views", ()):
            view = self._views[name]
            view[...] = checks.parameter(name, value, view.shape, view.dtype)
            self._shown()
        elif name.partition("_")[0] in KINDS:
            raise AttributeError(
                f"this {type(self).__name__} has no parameter {name!r}; it has "
                f"{', '.join(self._views)}"
            )
        else:
            object.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._views]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for made in self._made:
            state.pop(made, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        flat = aligned(self._flat.size, self._net.dtype)
        flat[:] = self._flat
        self._bind(flat)


def parameter_memory(net: Network) -> np.ndarray:
    """Return a vector for the parameters of a network.

    Raises
    ------
    MemoryError
        There is not so much memory.
    """
    try:
        return aligned(net.n_parameters, net.dtype)
    except (MemoryError, ValueError, OverflowError):  # NumPy's, the last two for absurd sizes
        raise MemoryError(
            f"{net.n_parameters:,} parameters of {net.dtype} do not fit in memory; a smaller "
            "input_size, hidden_size or num_layers needs less"
        ) from None
