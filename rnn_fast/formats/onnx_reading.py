"""A network read from a graph of ONNX, and what the graph makes of random sequences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .onnx_layers import Layer, Parts, head_arrays, parts_of
from .onnx_operators import Operator
from .onnx_outputs import ENDS, identity
from .onnx_source import Source, shown
from .onnx_weights import STATES, endings

Arrays = dict[str, np.ndarray]
N_SEQUENCES, N_STEPS = 3, 5  #: of random sequences, where the graph takes any number
STATE_SLOTS = ("initial_h", "initial_c")


class Found(NamedTuple):
    """A network that a graph computes, and what the graph makes of random sequences."""

    operator: Operator
    sizes: dict[str, Any]  #: arguments of a model; `output_size` is None without a head
    parameters: Arrays
    activation: Callable[[np.ndarray], np.ndarray]  #: of the logits
    end: str  #: the node of the activation, for messages; "" if there is none
    X: np.ndarray  #: (N, T, I), or indices (N, T)
    state: Any  #: initial states that come in, in the form of a model's, or None
    result: np.ndarray  #: output of the graph

    @property
    def return_sequences(self) -> bool:
        """True if the graph has an output after every step."""
        width = self.sizes["output_size"] or self.width
        return self.X.shape[1] > 1 and self.result.size == self.X.shape[0] * self.X.shape[1] * width

    @property
    def width(self) -> int:
        """States of the top layer, D H."""
        return self.sizes["hidden_size"] * (1 + self.sizes["bidirectional"])


def read_network(source: Source) -> Found:
    """Return the network that a graph computes.

    Raises
    ------
    ValueError
        The graph has something that a model has not; the message names the node.
    """
    parts = parts_of(source, ENDS)
    parameters, n_words = _parameters(source, parts)
    first, I = parts.layers[0], parameters["Wxh"].shape[1]
    sizes = {
        "input_size": n_words or I,
        "hidden_size": first.hidden_size,
        "output_size": len(parameters["by"]) if parts.head else None,
        "num_layers": len(parts.layers),
        "bidirectional": first.directions > 1,
        "embedding_size": I if n_words else None,
        "dtype": parameters["Wxh"].dtype,
    }
    feeds, X = _sequences(source, parts, sizes, parameters.get("embedding"))
    feeds |= _others(source, parts, sizes, X, feeds)
    output = _output(source, parts)
    slots = [own.get(slot, "") for slot in STATE_SLOTS for _, own in _runs(parts)]
    lengths = {own.get("sequence_lens", "") for _, own in _runs(parts)} - {""}
    values = source.values({output, *slots, *lengths} - {""}, feeds)
    if any((values[name] != X.shape[1]).any() for name in lengths):  # the evaluator ignores them
        raise ValueError(f"{shown(first.nodes[0])}: its sequence_lens are not those of an input")
    states = _states(parts, sizes, values, len(X))
    come_in = not source.carried(source.inputs).isdisjoint(slots)
    if states and not come_in:
        parameters |= _learned(first, states)
        sizes["learn_initial_state"] = True
    return Found(
        operator=first.operator,
        sizes=sizes,
        parameters=parameters,
        activation=ENDS[parts.activation.op_type] if parts.activation else identity,
        end=shown(parts.activation) if parts.activation else "",
        X=X,
        state=(states[0] if len(states) == 1 else tuple(states)) if come_in else None,
        result=values[output],
    )


def _runs(parts: Parts) -> list[tuple[Layer, dict[str, str]]]:
    """Return the inputs of each recurrent node, from the lowest layer, and its layer."""
    return [(layer, own) for layer in parts.layers for own in layer.slots]


# ------------------------------------------------------------------------------------ parameters


def _parameters(source: Source, parts: Parts) -> tuple[Arrays, int]:
    """Return the parameters by name, and the size of the vocabulary or 0."""
    embedding, head = parts.embedding, parts.head
    names = {own[slot] for _, own in _runs(parts) for slot in "WRBP" if own.get(slot)}
    names |= {name for name in (embedding, *((head.weight, head.bias) if head else ())) if name}
    constants = source.values(names)
    parameters: Arrays = {}
    for place, layer in enumerate(parts.layers):
        weights = _weights(layer, constants)
        for d, end in enumerate(endings(place, layer.directions)):
            run = {slot: array[d] for slot, array in weights.items()}
            parameters |= layer.operator.unpack(run, end)
    if embedding:
        parameters["embedding"] = constants[embedding]
    if head:
        states = parts.layers[0].hidden_size * parts.layers[0].directions
        parameters["Why"], parameters["by"] = head_arrays(head, constants, states)
    return parameters, len(parameters.get("embedding", ()))


def _weights(layer: Layer, constants: Arrays) -> Arrays:
    """Return W, R, B and P of a layer, with all directions on the first axis."""
    nodes = [
        {slot: constants[own[slot]] for slot in "WRBP" if own.get(slot)} for own in layer.slots
    ]
    for own in nodes:
        own.setdefault("B", np.zeros((len(own["W"]), 2 * own["W"].shape[1]), own["W"].dtype))
    return {slot: np.concatenate([own[slot] for own in nodes]) for slot in nodes[0]}


# ---------------------------------------------------------------------------------------- inputs


def _sequences(
    source: Source, parts: Parts, sizes: dict[str, Any], embedding: np.ndarray | None
) -> tuple[Arrays, np.ndarray]:
    """Return random sequences by the name of their input, and as X of a model.

    The lowest layer must read them as they are, or through an embedding: every index.
    """
    node, slot = parts.layers[0].nodes[0], parts.layers[0].slots[0]["X"]
    names = source.before(slot).intersection(source.inputs) - parts.lengths
    if len(names) != 1:
        raise ValueError(f"{shown(node)}: it reads {len(names)} inputs of the graph, not one")
    name = names.pop()
    axes = [N_SEQUENCES, N_STEPS]
    axes = [size or free for size, free in zip(source.sizes(name) or axes, axes, strict=False)]
    draws, kind = np.random.default_rng(0), source.dtype(name)
    if embedding is None:
        every = draws.standard_normal((1, *axes, sizes["input_size"])).astype(kind)
    else:
        shape = (-(-len(embedding) // math.prod(axes)), *axes)
        every = np.resize(draws.permutation(len(embedding)), shape).astype(kind)
    for steps_first in (False, True):
        pairs = [(x, x if embedding is None else embedding[x]) for x in every]
        if all(_reads(source, parts, name, *pair, steps_first) for pair in pairs):
            return {name: every[0]}, every[0].swapaxes(0, 1) if steps_first else every[0]
    raise ValueError(
        f"{shown(node)}: it does not read the input {name!r} as it is, sequences by steps by "
        "features or steps by sequences by features"
    )


def _reads(
    source: Source,
    parts: Parts,
    name: str,
    x: np.ndarray,
    features: np.ndarray,
    steps_first: bool,
) -> bool:
    """Return whether the lowest layer reads the features of sequences, or of steps first."""
    first = parts.layers[0]
    N, T = x.shape[1::-1] if steps_first else x.shape[:2]
    feeds = {name: x} | {each: np.full(N, T) for each in parts.lengths}
    feeds = {each: array.astype(source.dtype(each)) for each, array in feeds.items()}
    read = source.values([first.slots[0]["X"]], feeds)[first.slots[0]["X"]]
    read = read if first.batch_first else read.swapaxes(0, 1)  # (N, T, I)
    return np.array_equal(read, features.swapaxes(0, 1) if steps_first else features)


def _others(
    source: Source, parts: Parts, sizes: dict[str, Any], X: np.ndarray, known: Arrays
) -> Arrays:
    """Return values of the inputs of the graph that are lengths and initial states, by name."""
    N, T = X.shape[:2]
    slots = [own.get(slot, "") for _, own in _runs(parts) for slot in STATE_SLOTS]
    states = set().union(*map(source.before, slots))
    feeds, draws = {}, np.random.default_rng(1)
    runs = sizes["num_layers"] * (1 + sizes["bidirectional"])
    for name in source.inputs:
        if name in known:
            continue
        if name in parts.lengths:
            feeds[name] = np.full(N, T, source.dtype(name))
        elif name in states:
            free = (runs, N, sizes["hidden_size"])
            shape = [
                size or default for size, default in zip(source.sizes(name), free, strict=True)
            ]
            feeds[name] = draws.standard_normal(shape).astype(source.dtype(name))
        else:
            raise ValueError(
                f"input {name!r} of the graph is none of sequences, lengths and initial states"
            )
    return feeds


# ---------------------------------------------------------------------------------------- states


def _states(parts: Parts, sizes: dict[str, Any], values: Arrays, N: int) -> list[np.ndarray]:
    """Return the initial states that the nodes read, (runs, N, H) each; none if they are zero."""
    H, states = sizes["hidden_size"], []
    kinds = STATE_SLOTS[: 1 + parts.layers[0].operator.has_memory]
    for slot in kinds:
        found = []
        for layer, own in _runs(parts):
            n = layer.directions // len(layer.nodes)
            value = values[own[slot]] if own.get(slot) else np.zeros((n, N, H), sizes["dtype"])
            value = value.swapaxes(0, 1) if layer.batch_first and own.get(slot) else value
            found.append(np.broadcast_to(value, (n, N, H)))
        states.append(np.concatenate(found))
    return states if any(state.any() for state in states) else []


def _learned(layer: Layer, states: list[np.ndarray]) -> Arrays:
    """Return initial states that are the same for all sequences as parameters."""
    for state in states:
        if (state != state[:, :1]).any():
            raise ValueError(f"{shown(layer.nodes[0])}: its initial states depend on the sequence")
    return {name: state[:, 0] for name, state in zip(STATES, states, strict=False)}


# --------------------------------------------------------------------------------------- results


def _output(source: Source, parts: Parts) -> str:
    """Return the output of the graph that is the model's: the first that its last part makes."""
    last = parts.head.node if parts.head else parts.layers[-1].nodes[0]
    names = [value.name for value in source.graph.output]
    made = [name for name in names if not source.before(name).isdisjoint(last.output)]
    if not made:
        raise ValueError(f"{shown(last)}: no output of the graph depends on it")
    if parts.head is None:  # all states rather than the last ones
        made.sort(key=lambda name: last.output[0] not in source.before(name))
    return made[0]


def difference(result: np.ndarray, expected: np.ndarray, directions: int = 0) -> str | None:
    """Say how a graph's result and a model's differ, or None.

    Parameters
    ----------
    result : array
        Sequences, or steps by sequences, if there are steps; axes of size 1 do not count.
    expected : array, (N, T, K) or (N, K)
    directions : int
        If not 0, K may also be two axes: directions by units.
    """
    forms = [expected]
    if directions:
        apart = expected.reshape(*expected.shape[:-1], directions, -1)
        forms += [apart, np.moveaxis(apart, -2, -3)]
    if expected.ndim == 3:
        forms += [form.swapaxes(0, 1) for form in forms]
        if directions:  # Y of an operator, steps by directions by sequences by units
            forms.append(apart.transpose(1, 2, 0, 3))
    same = [form for form in map(np.squeeze, forms) if form.shape == np.squeeze(result).shape]
    if not same:
        return f"it returns {result.shape} where its layers give {expected.shape}"
    eps = np.finfo(expected.dtype).eps
    errors = [np.abs(np.squeeze(result) - form) for form in same]
    scale = 1 + np.abs(expected).max()
    error = min(float(each.max(initial=0.0)) for each in errors)
    return None if error <= 200 * eps * scale else f"it differs from its layers by {error:.2g}"
