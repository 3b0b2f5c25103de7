"""rnn_fast's own models for a workload."""

from __future__ import annotations

from typing import Any

import rnn_fast

from .problems import Row

MODELS: dict[str, Any] = {"rnn": rnn_fast.SimpleRNN, "gru": rnn_fast.GRU, "lstm": rnn_fast.LSTM}


def model_of(row: Row) -> Any:
    """Return a new model of the row's network."""
    return MODELS[row.cell](
        row.I,
        row.H,
        num_layers=row.layers,
        return_sequences=row.sequences,
        dtype=row.dtype,
        seed=0,
    )
