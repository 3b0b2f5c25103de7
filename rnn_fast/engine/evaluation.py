"""Logits and measures of sequences, with as many threads as there is work for."""

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
    """Return `operations.logits`, taken by up to `n_threads` threads."""
    seconds = seconds_per_row(net) / 3 * float(sequences.lengths.sum())
    with threads.Team(n_threads if seconds > TUNING.worth_seconds else 1) as team:
        return operations.logits(net, sequences, parameters, state=state, final=final, team=team)


def measure(net: Network, parameters: np.ndarray, part: Part, n_threads: int) -> dict[str, float]:
    """Return the measures of some sequences of a dataset, see `losses.measures`."""
    found = Measures(net.loss)
    for (given, targets, state), order, *_ in part:
        x, starts, lengths = given.sequences
        some = Sequences(x, starts[order], lengths[order])
        own = None if state is None else state[order]
        values, rows = logits(net, parameters, some, n_threads, state=own), order
        if net.sequences:
            rows = rows_of(given.sequences, order)
            values = values[rows]
        y, weights = targets  # type: ignore[misc]  # there are any where something is measured
        found.add(values, y[rows], None if weights is None else weights[rows])
    return found.means()
