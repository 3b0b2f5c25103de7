"""Logits and measures of sequences, by as many threads as there is work for."""

from __future__ import annotations

import numpy as np

from ..data.blocks import rows_of
from ..data.dataset import Part
from ..data.rows import Sequences
from ..layout.network import Network
from ..losses.measures import Measures
from ..tuning import TUNING
from . import operations, threads
from .tiling import seconds_per_row


def logits(
    net: Network,
    parameters: np.ndarray,
    sequences: Sequences,
    n_threads: int,
    *,
    state: np.ndarray | None = None,
    final: np.ndarray | None = None,
) -> np.ndarray:
    """Return `operations.logits`, computed by up to `n_threads` threads."""
    seconds = seconds_per_row(net) / 3 * float(sequences.lengths.sum())
    with threads.Team(n_threads if seconds > TUNING.worth_seconds else 1) as team:
        return operations.logits(net, sequences, parameters, state=state, final=final, team=team)


def measure(net: Network, parameters: np.ndarray, part: Part, n_threads: int) -> dict[str, float]:
    """Return the measures of some sequences of a dataset, see `losses.measures`."""
    measures = Measures(net.loss)
    for (inputs, targets, state), order, *_ in part:
        x, starts, lengths = inputs.sequences
        chosen, rows = Sequences(x, starts[order], lengths[order]), order
        if state is not None:
            state = state[order]
        values = logits(net, parameters, chosen, n_threads, state=state)
        if net.sequences:
            rows = rows_of(inputs.sequences, order)
            values = values[rows]
        y, weights = targets  # type: ignore[misc]  # a measured part has targets
        measures.add(values, y[rows], None if weights is None else weights[rows])
    return measures.means()
