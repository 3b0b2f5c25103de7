"""A graph of ONNX that someone wrote: its nodes, what depends on what, and its values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import validation
from .._optional import extra
from ..saving import files

SIZES = ("Shape", "Size")  #: operators whose results depend on shapes, not on numbers


class Source:
    """A graph, and its values for some inputs, by ONNX's reference evaluator.

    Parameters
    ----------
    source : path, binary file, or onnx.ModelProto

    Raises
    ------
    TypeError, ValueError
        It is none of these, or holds no model.
    OSError
        The file cannot be read.
    """

    def __init__(self, source: Any) -> None:
        self.onnx = extra("onnx", "onnx")
        model = self._read(source)
        if model.functions:
            from onnx.inliner import inline_local_functions

            model = inline_local_functions(model)
        self.model, self.graph = model, model.graph
        self.tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        self.texts = {entry.key: entry.value for entry in model.metadata_props}
        self.inputs = {v.name: v for v in self.graph.input if v.name not in self.tensors}
        self.makers = {out: node for node in self.graph.node for out in node.output if out}
        self.static = set(self.tensors)  #: values that depend on no input
        for node in self.graph.node:
            if {name for name in node.input if name} <= self.static and not _has_body(node):
                self.static.update(node.output)

    def carried(self, names: Iterable[str]) -> set[str]:
        """Return all values that depend on the numbers of some values, and not on shapes alone."""
        found = set(names)
        for node in self.graph.node:
            if _has_body(node) or (node.op_type not in SIZES and not found.isdisjoint(node.input)):
                found.update(node.output)
        return found - {""}

    def _read(self, source: Any) -> Any:
        """Return the model of a file, or a model itself."""
        name, folder = "path_or_model", None
        if isinstance(source, self.onnx.ModelProto):
            return source
        if hasattr(source, "read"):
            data = source.read()
        else:
            name = validation.path("path_or_model", source)
            with open(files.open_regular(name), "rb") as file:
                data, folder = file.read(), os.path.dirname(os.path.abspath(name))
        try:
            model = self.onnx.load_from_string(data)
            if folder is not None:
                self.onnx.load_external_data_for_model(model, folder)
        except Exception as error:  # of Protocol Buffers, or of an outside file
            raise ValueError(
                f"{name}: no graph of ONNX, or a damaged one: {error!s:.200}"
            ) from error
        return model

    def all_tensors(self) -> dict[str, Any]:
        """Return the constants of the graph, and of the bodies of its nodes."""
        bodies = [a.g for node in self.graph.node for a in node.attribute if a.HasField("g")]
        return self.tensors | {tensor.name: tensor for g in bodies for tensor in g.initializer}

    def attributes(self, node: Any) -> dict[str, Any]:
        """Return the attributes of a node, text as str."""
        values = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        return {name: _decoded(value) for name, value in values.items()}

    def sizes(self, name: str) -> list[int | None]:
        """Return the axes of an input; None where any size will do."""
        dims = self.inputs[name].type.tensor_type.shape.dim
        return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]

    def dtype(self, name: str) -> np.dtype:
        """Return the dtype of an input."""
        kind = self.inputs[name].type.tensor_type.elem_type
        return np.dtype(self.onnx.helper.tensor_dtype_to_np_dtype(kind))

    def before(self, name: str) -> set[str]:
        """Return all values that a value depends on, and itself."""
        found, left = set(), [name]
        while left:
            value = left.pop()
            if value and value not in found:
                found.add(value)
                left += self.makers[value].input if value in self.makers else []
        return found

    def values(
        self, names: Iterable[str], feeds: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Return values of the graph, for inputs that they depend on.

        Raises
        ------
        ValueError
            The reference evaluator cannot compute them.
        """
        names = list(names)
        wanted = set().union(*map(self.before, names)) if names else set()
        graph = self.onnx.GraphProto(name="part")
        graph.node.extend(node for node in self.graph.node if wanted.intersection(node.output))
        graph.initializer.extend(t for name, t in self.tensors.items() if name in wanted)
        graph.input.extend(value for name, value in self.inputs.items() if name in wanted)
        graph.output.extend(self.onnx.ValueInfoProto(name=name) for name in names)
        needed = {name: array for name, array in (feeds or {}).items() if name in wanted}
        return self._run(graph, names, needed)

    def _run(self, graph: Any, names: list[str], feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        from onnx.reference import ReferenceEvaluator
        from onnx.reference.ops import op_rnn

        class RNN(op_rnn.RNN_14):  # the evaluator's has only tanh
            def choose_act(self, name: str, alpha: Any, beta: Any) -> Any:
                if name.capitalize() == "Relu":
                    return lambda x: np.maximum(x, 0)
                return super().choose_act(name, alpha, beta)

        model = self.onnx.ModelProto()
        model.CopyFrom(self.model)
        model.graph.CopyFrom(graph)
        try:
            with np.errstate(all="ignore"):
                evaluator = ReferenceEvaluator(model, new_ops=[RNN])
                return dict(zip(names, evaluator.run(names, dict(feeds)), strict=True))
        except Exception as error:  # of any operator
            raise ValueError(
                f"ONNX's evaluator cannot compute the graph: {error!s:.200}"
            ) from error


def shown(node: Any) -> str:
    """Return the name and the operator of a node, for messages."""
    return f"node {node.name or node.output[0]!r} ({node.op_type})"


def _has_body(node: Any) -> bool:
    """Return whether a node has graphs of its own, which may read any value."""
    return any(a.HasField("g") or a.graphs for a in node.attribute)


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return [_decoded(each) for each in value] if isinstance(value, list) else value
