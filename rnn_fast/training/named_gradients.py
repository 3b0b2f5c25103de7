"""Gradients by name, checked, as the vector that an update takes."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from .. import validation
from ..data import checks
from ..layout.constraints import Bounds
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.parameters import parameter_views

#: what `loss_and_gradients` returns beside the gradients of the parameters
BESIDE = frozenset({"X", "initial_state"})


class NamedGradients:
    """A vector of gradients, filled again and again from dicts; made for the first.

    Parameters
    ----------
    net : Network
    """

    def __init__(self, net: Network) -> None:
        self._net, self._flat = net, np.empty(0)
        self._views: dict[str, np.ndarray] = {}

    def flat(self, gradients: Any, bounds: Bounds | None) -> np.ndarray:
        """Return gradients by name as a vector, which the next call writes again.

        Parameters
        ----------
        gradients : mapping of str to array
        bounds : Bounds or None
            Constraints: a parameter that they fix needs no gradient.

        Raises
        ------
        TypeError, ValueError
            They are not the gradients of all parameters that may move.
        """
        if not isinstance(gradients, Mapping):
            raise TypeError(
                f"gradients must be a dict of arrays by name; got {validation.shown(gradients)}"
            )
        if not self._flat.size:
            self._flat = aligned(self._net.n_parameters, self._net.dtype)
            self._views = parameter_views(self._flat, self._net)
        names = gradients.keys() - BESIDE
        if names != self._views.keys():
            self._check_names(names, bounds)
        for name, view in self._views.items():
            value = gradients.get(name, 0.0)
            if not (type(value) is np.ndarray and value.dtype == view.dtype):
                value = np.asarray(value) if name in names else np.zeros(view.shape)
            if value.dtype != view.dtype or value.shape != view.shape:
                value = checks.parameter(f"gradients[{name!r}]", value, view.shape, view.dtype)
            view[...] = value
        if not checks.all_finite(self._flat):
            for name, view in self._views.items():
                checks.parameter(f"gradients[{name!r}]", view, view.shape, view.dtype)
        return self._flat

    def _check_names(self, names: Set[str], bounds: Bounds | None) -> None:
        """Raise ValueError unless the names are those of all parameters, except frozen ones."""
        if unknown := names - self._views.keys():
            raise ValueError(
                f"gradients names {', '.join(sorted(map(str, unknown)))}, but the parameters are "
                f"{', '.join(self._views)}"
            )
        fixed = np.zeros(0, bool) if bounds is None else bounds.fixed
        places = parameter_views(fixed, self._net) if fixed.size else {}
        missing = [
            name
            for name in self._views
            if name not in names and not (name in places and places[name].all())
        ]
        if missing:
            raise ValueError(f"gradients has none of {', '.join(missing)}")
