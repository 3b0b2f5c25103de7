"""A graph of ONNX that grows node by node; values are known by their names."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from .._optional import extra

BEFORE_ALL = int(np.iinfo(np.int64).min)  #: the stop of a slice that goes back to the first


class Graph:
    """Nodes, and constants by name.

    Parameters
    ----------
    dtype : dtype
        Dtype of the real numbers.
    prefix : str
        Beginning of new names, which tells those in the body of a node from those around it.
    """

    def __init__(self, dtype: np.dtype, prefix: str = "") -> None:
        self.onnx = extra("onnx", "onnx")
        self.dtype, self.prefix, self._numbers = dtype, prefix, count()
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    # ------------------------------------------------------------------------------- building

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        return self.add_all(operator, *inputs, names=(name or self.name(operator),), **attributes)[
            0
        ]

    def add_all(
        self, operator: str, *inputs: str, names: tuple[str, ...], **attributes: Any
    ) -> tuple[str, ...]:
        """Add a node with several outputs, and return their names."""
        given = list(inputs)
        while given and not given[-1]:
            given.pop()  # inputs that are left out
        node = self.onnx.helper.make_node(operator, given, names, name=names[0], **attributes)
        self.nodes.append(node)
        return names

    def name(self, word: str) -> str:
        """Return a new name."""
        return f"{self.prefix}{word.lower()}_{next(self._numbers)}"

    def constant(self, value: Any, name: str = "", dtype: Any = None) -> str:
        """Add a constant, of the graph's dtype or another, and return its name."""
        name = name or self.name("constant")
        self.constants[name] = np.array(value, dtype or self.dtype, order="C")
        return name

    def whole(self, *numbers: int) -> str:
        """Add whole numbers as a constant, and return its name; the same one for the same."""
        name = "_".join([f"{self.prefix}whole", *map(str, numbers)])
        return self.constant(numbers, name, np.int64)

    # ----------------------------------------------------------------------------- operations

    def turned(self, x: str, *perm: int, name: str = "") -> str:
        """Add a transposition."""
        return self.add("Transpose", x, perm=perm, name=name)

    def shaped(self, x: str, *shape: int, name: str = "") -> str:
        """Add a change of shape: 0 keeps an axis, -1 is what is left."""
        return self.add("Reshape", x, self.whole(*shape), name=name)

    def cut(self, x: str, start: int, stop: int, axis: int, step: int = 1) -> str:
        """Add a slice of one axis."""
        return self.add("Slice", x, *map(self.whole, (start, stop, axis, step)))

    def reversed(self, x: str) -> str:
        """Add a reversal of the first axis."""
        return self.cut(x, -1, BEFORE_ALL, 0, -1)

    def parts(self, x: str, n: int, size: int, axis: int) -> tuple[str, ...]:
        """Add a split into `n` parts of `size`; of one part, nothing."""
        if n == 1:
            return (x,)
        names = tuple(self.name("split") for _ in range(n))
        return self.add_all("Split", x, self.whole(*[size] * n), names=names, axis=axis)

    def joined(self, *parts: str, axis: int, name: str = "") -> str:
        """Add a concatenation."""
        if len(parts) == 1 and not name:
            return parts[0]
        return self.add("Concat", *parts, axis=axis, name=name)

    def size(self, x: str, axis: int) -> str:
        """Add the size of an axis, as an array of one number."""
        return self.add("Gather", self.add("Shape", x), self.whole(axis), axis=0)

    # ---------------------------------------------------------------------------- the results

    def value(self, name: str, shape: Any, dtype: Any = None) -> Any:
        """Return the description of an input or an output."""
        helper = self.onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype))
        return helper.make_tensor_value_info(name, kind, shape)

    def move(self, name: str, body: Graph) -> str:
        """Move a constant into the body of a node, and return its name."""
        body.constants[name] = self.constants.pop(name)
        return name

    def proto(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        """Return the graph, such as the body of a node of another."""
        onnx = self.onnx
        tensors = [onnx.numpy_helper.from_array(v, k) for k, v in self.constants.items()]
        return onnx.helper.make_graph(self.nodes, name, inputs, outputs, tensors)

    def model(
        self, name: str, inputs: list[Any], outputs: list[Any], opset: int, texts: dict[str, str]
    ) -> Any:
        """Return the graph as a model, with texts by name, checked.

        Raises
        ------
        onnx.checker.ValidationError
            The graph is not sound.
        """
        onnx = self.onnx
        opsets = [onnx.helper.make_opsetid("", opset)]
        model = onnx.helper.make_model(
            self.proto(name, inputs, outputs),
            opset_imports=opsets,
            ir_version=onnx.helper.find_min_ir_version_for(opsets),
            producer_name="rnn_fast",
        )
        onnx.helper.set_model_props(model, texts)
        onnx.checker.check_model(model, full_check=True)
        return model
