"""Constraints of a model's parameters."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from ..layout.constraints import Bounds, Constraint, bounds_of, constraints_of, project
from ..layout.network import Network
from ..training.online import Online


class Constrained:
    """The methods of a model that constrain its parameters."""

    _net: Network
    _views: dict[str, np.ndarray]
    _online: Online
    _constraints: dict[str, Constraint]

    def constrain(
        self,
        name: str,
        *,
        frozen: Any = None,
        mask: Any = None,
        sign: Any = None,
        max_norm: float | None = None,
    ) -> None:
        """Constrain a parameter, in place of what was said of it before; with nothing, free it.

        The parameter is moved to the nearest values that are allowed, now and after every update
        of `fit`, `fit_stream`, `partial_fit`, `apply_gradients` and `backward`.  Values that you
        write later are moved by the next update.  Constraints are part of a pickle, a copy, a file
        and a checkpoint.

        Parameters
        ----------
        name : str
            A parameter, such as ``Whh_l1``; ``Whh`` stands for all layers and directions.
        frozen : bool or array of bool, optional
            True: the parameter keeps the value it has, whatever penalties and weight decay say.
        mask : array of bool, optional
            False: the parameter is zero.
        sign : array of {-1, 0, 1}, optional
            1: not below zero; -1: not above zero; 0: either.  An array (H,) for Whh (G H, H) is by
            column: it gives all weights that leave unit j one sign, as Dale's law does.
        max_norm : float, optional
            Limit of the Euclidean norm of each row of a matrix: of the weights that arrive at a
            unit, or at a gate of it.

        Arrays broadcast to the shape of the parameter.

        Raises
        ------
        TypeError, ValueError
            There is no such parameter.  A value or a shape is wrong, `max_norm` is for a vector, or
            together with `frozen`.  The model is as before.
        """
        found = constraints_of(self._net, name, frozen, mask, sign, max_norm)
        self._set_constraints({**self._constraints, **found})
        for key in found:
            project(self._views[key], found[key])
        self._online.stale = True

    @property
    def constraints(self) -> MappingProxyType[str, Constraint]:
        """Constraints by parameter, as `constrain` made them; read-only."""
        return MappingProxyType(self._constraints)

    def _set_constraints(self, constraints: dict[str, Constraint]) -> None:
        """Use constraints from the next update on."""
        self._constraints = {name: said for name, said in constraints.items() if said}
        self._bound_by(bounds_of(self._net, self._constraints) if self._constraints else None)

    def _bound_by(self, bounds: Bounds | None) -> None:
        """Keep every update within bounds from now on."""
        raise NotImplementedError
