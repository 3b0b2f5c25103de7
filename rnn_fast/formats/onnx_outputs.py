"""The outputs of the losses as nodes of ONNX: the functions of `losses.functions` one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..layout.network import Network
from ..losses import LOSSES, Loss, functions
from ..losses.functions import identity
from ..validation import choice
from .onnx_graph import Graph

METHODS = ("predict", "predict_proba", "decision_function", "predict_distribution")


def second_of_each(outputs: np.ndarray) -> np.ndarray:
    """Second number of the last axis: a scale."""
    return outputs[..., 1]


def _picked(place: int) -> Callable[[Graph, str], str]:
    return lambda graph, z: graph.add("Gather", z, graph.constant(place, dtype=np.int64), axis=-1)


def _above_zero(graph: Graph, z: str) -> str:
    positive = graph.add("Greater", z, graph.constant(0))
    return graph.add("Cast", positive, to=graph.onnx.TensorProto.INT64)


def _means_and_scales(graph: Graph, z: str) -> str:
    means, scales = (graph.cut(z, place, place + 1, -1) for place in range(2))
    scales = graph.add("Add", graph.add("Exp", scales), graph.constant(functions.FLOOR))
    return graph.joined(means, scales, axis=-1)


#: functions of logits, as nodes
NODES: dict[Any, Callable[[Graph, str], str]] = {
    identity: lambda graph, z: z,
    functions.sigmoid: lambda graph, z: graph.add("Sigmoid", z),
    functions.softmax: lambda graph, z: graph.add("Softmax", z, axis=-1),
    functions.rates: lambda graph, z: graph.add("Exp", z),
    functions.means_and_scales: _means_and_scales,
    functions.first_of_each: _picked(0),
    second_of_each: _picked(1),
    functions.above_zero: _above_zero,
    functions.largest: lambda graph, z: graph.add("ArgMax", z, axis=-1, keepdims=0),
}

#: operators at the end of others' graphs
ENDS = {"Sigmoid": functions.sigmoid, "Softmax": functions.softmax, "Exp": functions.rates}


class Output(NamedTuple):
    """An output of a graph, of the logits in the form of `Network.output_form`."""

    add: Callable[[Graph, str], str]  #: adds the nodes
    shape: tuple[int, ...]  #: of a sample, or of a step
    dtype: np.dtype


def outputs_of(net: Network, method: str) -> dict[str, Output]:
    """Return the outputs that a method of a model returns, by name.

    Raises
    ------
    ValueError
        There is no such method, or the loss has no such outputs, or none that ONNX can compute.
    """
    loss = LOSSES[net.loss]
    method = choice("output", method, METHODS)
    chains = _chains(loss, method) if net.output_size else {"outputs": []}
    found = {}
    for name, chain in chains.items():
        unknown = [function for function in chain if function not in NODES]
        if unknown:
            raise ValueError(
                f"output {method}: what loss {loss.name} makes of its logits has no form in ONNX "
                "yet; decision_function has the logits"
            )
        sample = np.zeros((1, *net.output_form), net.dtype)
        for function in chain:
            sample = function(sample)
        found[name] = Output(_composed(chain), sample.shape[1:], sample.dtype)
    return found


def _chains(loss: Loss, method: str) -> dict[str, list[Any]]:
    """Return the functions that make each output of the logits, in their order."""
    if method == "decision_function":
        return {method: []}
    if method == "predict_proba":
        if not loss.classifies:
            raise ValueError(
                "output predict_proba needs a model with loss bce or cross_entropy, not "
                f"{loss.name}"
            )
        return {method: [loss.activation]}
    if method == "predict_distribution":
        if loss.means is None:
            raise ValueError(
                f"output predict_distribution needs a model with loss gaussian, not {loss.name}"
            )
        parts = {"mean": loss.means, "scale": second_of_each}
        return {name: [loss.activation, part] for name, part in parts.items()}
    if loss.labels is not None:
        return {method: [loss.labels]}
    return {method: [loss.activation, *([loss.means] if loss.means else [])]}


def _composed(chain: list[Any]) -> Callable[[Graph, str], str]:
    def add(graph: Graph, z: str) -> str:
        for function in chain:
            z = NODES[function](graph, z)
        return z

    return add
