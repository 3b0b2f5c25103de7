"""The recurrent layers, the embedding and the head of a graph of ONNX that someone wrote.

Every node that a number of the input passes through must be one that is understood; what shapes
and constants are made of may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .onnx_operators import OPERATORS, Operator, operator_like
from .onnx_source import Source, shown

RECURRENT = {operator.name for operator in OPERATORS}
PRODUCTS = ("MatMul", "Gemm")
#: operators that move numbers without changing them
MOVES = (
    *("Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Identity", "Cast", "Dropout"),
    *("Gather", "Slice", "Split", "Concat", "Expand", "Where"),
)
#: inputs of recurrent nodes, by place
SLOTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
UNKNOWN = ("clip", "input_forget", "activation_alpha", "activation_beta")


class Layer(NamedTuple):
    """A layer: one node, or one for each direction."""

    nodes: list[Any]
    slots: list[dict[str, str]]  #: names of each node's inputs
    operator: Operator
    hidden_size: int
    directions: int
    batch_first: bool


class Head(NamedTuple):
    """The read-out."""

    node: Any
    weight: str  #: name of a constant
    is_turned: bool  #: True if it is (O, D H)
    bias: str | None


class Parts(NamedTuple):
    """The parts of a graph."""

    layers: list[Layer]
    embedding: str | None  #: name of a constant
    head: Head | None
    activation: Any  #: node, or None
    lengths: set[str]  #: inputs of the graph


def parts_of(source: Source, activations: Mapping[str, Any]) -> Parts:
    """Return the parts of a graph.

    Parameters
    ----------
    source : Source
    activations : mapping
        Operators that may stand after the head.

    Raises
    ------
    ValueError
        A node is not understood; the message names it.
    """
    layers = _layers(source)
    slots = {own.get("sequence_lens", "") for layer in layers for own in layer.slots}
    lengths = {name for name in source.inputs if not slots.isdisjoint(source.carried([name]))}
    carried = source.carried(source.inputs.keys() - lengths)
    embedding, indices = _embedding(source, layers[0])
    head = activation = None
    after: set[str] = set()  # values that depend on states
    for node in source.graph.node:
        is_after = not after.isdisjoint(node.input)
        if node.op_type in RECURRENT or is_after:
            after.update(node.output)
        is_free = carried.isdisjoint(node.output) or not indices.isdisjoint(node.output)
        if node.op_type in RECURRENT or is_free:
            continue
        is_move = node.op_type in MOVES and not node.domain
        if node.op_type in PRODUCTS and is_after and head is None:
            head = _head(source, node)
        elif node.op_type == "Add" and head is not None and head.bias is None:
            head = head._replace(bias=_bias(source, node))
        elif node.op_type in activations and activation is None and head is not None:
            activation = node
        elif not is_move:
            raise ValueError(
                f"{shown(node)}: a model has nothing that computes this, at this place"
            )
    return Parts(layers, embedding, head, activation, lengths)


def _embedding(source: Source, first: Layer) -> tuple[str | None, set[str]]:
    """Return the vectors of the embedding, and all that is computed of indices in front of it.

    There may be anything, since it is tried with every index.
    """
    front = source.before(first.slots[0]["X"])
    found = [
        node
        for node in source.graph.node
        if node.op_type == "Gather"
        and node.input[0] in source.static
        and node.input[1] not in source.static
        and not front.isdisjoint(node.output)
    ]
    if len(found) > 1:
        raise ValueError(f"{shown(found[1])}: a second embedding")
    if not found:
        return None, set()
    return found[0].input[0], source.before(found[0].input[1])


# --------------------------------------------------------------------------------------- layers


def _layers(source: Source) -> list[Layer]:
    """Return the recurrent layers, from the lowest."""
    nodes = [node for node in source.graph.node if node.op_type in RECURRENT]
    if not nodes:
        loops = [node for node in source.graph.node if node.op_type in ("Loop", "Scan")]
        other = f"; {shown(loops[0])}: a recurrence of this form is not read" if loops else ""
        raise ValueError(f"the graph has no {', '.join(sorted(RECURRENT))} node{other}")
    depths: dict[str, int] = {}
    groups: dict[int, list[Any]] = {}
    for node in nodes:
        below = source.before(node.input[0])
        depth = 1 + max((d for out, d in depths.items() if out in below), default=0)
        depths |= dict.fromkeys((out for out in node.output if out), depth)
        groups.setdefault(depth, []).append(node)
    layers = [_layer(source, groups[depth]) for depth in sorted(groups)]
    first = layers[0]
    for layer in layers[1:]:
        if layer[2:] != first[2:]:
            raise ValueError(
                f"{shown(layer.nodes[0])}: all layers must have one kind, size and form, that of "
                f"{shown(first.nodes[0])}"
            )
    return layers


def _layer(source: Source, nodes: list[Any]) -> Layer:
    """Return the layer of nodes that read the same: one, or a forward and a reverse one."""
    attributes = [source.attributes(node) for node in nodes]
    directions = [each.get("direction", "forward") for each in attributes]
    if sorted(directions) not in (["bidirectional"], ["forward"], ["forward", "reverse"]):
        raise ValueError(
            f"{', '.join(map(shown, nodes))}: a layer is forward or bidirectional; got "
            f"{', '.join(directions)}"
        )
    if directions[0] == "reverse":
        nodes, attributes = nodes[::-1], attributes[::-1]
    kinds = [_kind(node, each) for node, each in zip(nodes, attributes, strict=True)]
    if len(set(kinds)) > 1:
        raise ValueError(f"{', '.join(map(shown, nodes))}: the directions differ")
    cell, hidden_size, batch_first = kinds[0]
    operator = next(each for each in OPERATORS if each.cell == cell)
    slots = [dict(zip(SLOTS, node.input, strict=False)) for node in nodes]
    for node, own in zip(nodes, slots, strict=True):
        for slot in "WRBP":
            if own.get(slot) and own[slot] not in source.static:
                raise ValueError(f"{shown(node)}: its {slot} is no constant")
    return Layer(nodes, slots, operator, hidden_size, 1 + (directions != ["forward"]), batch_first)


def _kind(node: Any, attributes: dict[str, Any]) -> tuple[str, int, bool]:
    """Return the cell, H, and whether sequences are the first axis, of a recurrent node."""
    if "hidden_size" not in attributes:
        raise ValueError(f"{shown(node)}: it does not say its hidden_size")
    for name in UNKNOWN:
        if attributes.get(name):
            raise ValueError(f"{shown(node)}: models have no {name}")
    D = 1 + (attributes.get("direction") == "bidirectional")
    names = attributes.get("activations", [])
    own = names[: len(names) // D]
    has_peepholes = len(node.input) > SLOTS.index("P") and bool(node.input[SLOTS.index("P")])
    operator = operator_like(node.op_type, own, attributes, has_peepholes)
    if operator is None or own * D != names:
        raise ValueError(f"{shown(node)}: models have no such cell with activations {names}")
    return operator.cell, attributes["hidden_size"], bool(attributes.get("layout", 0))


# ----------------------------------------------------------------------------------------- head


def _head(source: Source, node: Any) -> Head:
    """Return the read-out of a product with a constant."""
    attributes = source.attributes(node)
    factors = [attributes.get(name, 1.0) for name in ("alpha", "beta")]
    if node.input[1] not in source.static or attributes.get("transA") or factors != [1.0, 1.0]:
        raise ValueError(f"{shown(node)}: a head is a product of states with a constant")
    bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
    if bias is not None and bias not in source.static:
        raise ValueError(f"{shown(node)}: its bias is no constant")
    return Head(node, node.input[1], bool(attributes.get("transB", 0)), bias)


def _bias(source: Source, node: Any) -> str:
    """Return the constant that is added to the product of the head."""
    constants = [name for name in node.input if name in source.static]
    if len(constants) != 1:
        raise ValueError(f"{shown(node)}: a model adds a constant to the product of its head alone")
    return constants[0]


def head_arrays(
    head: Head, constants: Mapping[str, np.ndarray], states: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return Why (O, states) and by (O,)."""
    weight = constants[head.weight]
    if weight.ndim != 2 or weight.shape[head.is_turned] != states:
        raise ValueError(
            f"{shown(head.node)}: a head reads the {states} states of the top layer; its weights "
            f"have shape {weight.shape}"
        )
    Why = weight if head.is_turned else weight.T
    if head.bias is None:
        return Why, np.zeros(len(Why), Why.dtype)
    by = constants[head.bias].reshape(-1)
    if by.size not in (1, len(Why)):
        raise ValueError(
            f"{shown(head.node)}: its bias has {by.size} numbers for {len(Why)} outputs"
        )
    return Why, np.broadcast_to(by, len(Why))
