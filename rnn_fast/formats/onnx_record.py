"""The part of our own graphs that only this package reads: a model's description."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..saving import strict_json
from .onnx_source import Source
from .onnx_weights import unpacked

KEY = "rnn_fast"  #: of the record among the texts of a file
VERSION = 1


def read_record(source: Source) -> dict[str, Any] | None:
    """Return the record of a graph; None if it has none, or one of another version."""
    try:
        record = strict_json.read(source.texts.get(KEY, ""))
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("version") != VERSION:
        return None
    is_whole = isinstance(record.get("model", record.get("stack")), dict)
    return record if is_whole and "logits" in source.makers else None


def recorded_parameters(
    source: Source, net: Network, record: dict[str, Any]
) -> dict[str, np.ndarray] | None:
    """Return the parameters of a network that a graph of ours holds; None if it does not.

    Another program may have changed the graph since it was written.
    """
    tensors = source.all_tensors()
    most = sum(math.prod(tensor.dims) for tensor in tensors.values())
    most += len(source.texts[KEY])  # with learned states that the graph does not need
    if net.runs > 2 * len(tensors) or net.n_parameters > most:
        return None
    array = source.onnx.numpy_helper.to_array
    try:
        found = unpacked(net, {name: array(tensor) for name, tensor in tensors.items()})
        start = dict(record.get("start", {}))
        found |= {name: np.array(value, net.dtype) for name, value in start.items()}
    except (LookupError, TypeError, ValueError):
        return None
    nothing = np.broadcast_to(np.zeros((), net.dtype), net.n_parameters)  # without memory
    expected = parameter_views(nothing, net)
    for name, view in expected.items():
        own = found.get(name)
        if own is None or own.shape != view.shape or own.dtype != view.dtype:
            return None
    return {name: found[name] for name in expected}


def recorded_values(source: Source, net: Network) -> tuple[np.ndarray, Any, np.ndarray]:
    """Return random sequences, initial states or None, and the graph's logits of them."""
    draws, N, T = np.random.default_rng(0), 3, 5
    if net.embedding:
        X = draws.integers(0, net.input_size, (N, T))
    else:
        X = draws.standard_normal((N, T, net.input_size)).astype(net.dtype)
    feeds = {"X": X, "lengths": np.full(N, T)}
    shape = (net.runs, N, net.hidden_size)
    states = [draws.standard_normal(shape).astype(net.dtype) for _ in range(net.states)]
    feeds |= dict(zip(("h0", "c0"), states, strict=False))
    logits = source.values(["logits"], feeds)["logits"]
    if "h0" not in source.inputs:
        return X, None, logits
    return X, states[0] if len(states) == 1 else tuple(states), logits
