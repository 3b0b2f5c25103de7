"""Hidden states of a model, after each step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..engine import operations, threads
from ..engine.tiling import seconds_per_row
from ..engine.workspace import spaces
from ..layout.network import Network
from ..layout.stages import Wanted
from ..tuning import TUNING
from ..validation import flag, shown, whole


class Hidden:
    """The method of a model, or of its layers alone, that shows its states."""

    _net: Network
    _flat: np.ndarray
    _chance: Any  # a property of the model

    def states(
        self,
        X: Any,
        *,
        layer: Any = "all",
        cell_state: bool = False,
        lengths: Any = None,
        initial_state: Any = None,
        noise_seed: int | None = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Any:
        """Return the states of N sequences after each step, of the model's dtype.

        Parameters
        ----------
        X, lengths, initial_state, noise_seed, n_threads, check_finite
            As in `predict`, but all data are read into memory.
        layer : "all" or int
            A layer: 0, or -1 for the top.
        cell_state : bool
            Whether to return (h, c), for an LSTM.

        Returns
        -------
        ndarray or list
            h of one layer, (N, T, D H) for D directions, forward then reverse; of all layers,
            (num_layers D, N, T, H), as states have it.  Zero in the padding.  If X is a list, a
            list of (T_i, D H) or (num_layers D, T_i, H).

        Raises
        ------
        ValueError
            There is no such layer, `cell_state` of a cell that has none, or a `noise_seed` for a
            model without noise.
        """
        net, size = self._net, threads.wanted(n_threads)
        layers = chosen_layers(net, layer)
        if flag("cell_state", cell_state) and net.states < 2:
            raise ValueError(f"cell_state: the cell {net.cell} has no state but h")
        noise = self._chance.noise(noise_seed)
        feed = Dataset(
            net,
            X,
            lengths=lengths,
            state=initial_state,
            check_finite=flag("check_finite", check_finite),
            whole=True,
        )
        inputs, _, state = feed.load(0)
        data, H, D = inputs.sequences, net.hidden_size, net.directions
        runs = [at * D + d for at in layers for d in range(D)]
        kinds = range(2) if cell_state else range(1)
        rows = len(data.x)
        if layer == "all":  # a block of rows for each run
            out = np.zeros((len(kinds) * len(runs), rows, H), net.dtype)
            apart = rows * H
        else:
            out = np.zeros((len(kinds), rows, D * H), net.dtype)
            apart = H
        table = [
            Wanted(run, kind, kind * len(runs) * rows * H + i * apart)
            for kind in kinds
            for i, run in enumerate(runs)
        ]
        worth = seconds_per_row(net) / 3 * float(data.lengths.sum()) > TUNING.worth_seconds
        with threads.Team(size if worth else 1) as team:
            operations.predict(
                net,
                data,
                self._flat,
                state=state,
                hidden=operations.hidden_fields(out, np.array(table, np.int64)),
                noise=noise,
                team=team,
            )
        spaces.trim()
        found = []
        for part in out.reshape(len(kinds), -1, *out.shape[1:]):
            if layer != "all":
                found.append(inputs.shaped(part[0]))
            elif inputs.steps is None:
                _, starts, lengths_ = data
                places = zip(starts, lengths_, strict=True)
                found.append([part[:, a : a + n] for a, n in places])
            else:
                found.append(part.reshape(len(runs), len(inputs), inputs.steps, H))
        return tuple(found) if cell_state else found[0]


def chosen_layers(net: Network, layer: Any) -> range:
    """Return the layers that `layer` names."""
    if isinstance(layer, str):
        if layer != "all":
            raise ValueError(f'layer must be "all" or a number; got {shown(layer)}')
        return range(net.layers)
    place = whole("layer", layer, least=-net.layers, most=net.layers - 1) % net.layers
    return range(place, place + 1)
