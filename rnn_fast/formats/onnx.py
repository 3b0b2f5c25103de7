"""Models as graphs of ONNX; onnx is imported only when needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import validation
from .._optional import extra
from ..layout.network import Network
from ..saving import files
from .onnx_graph import Graph
from .onnx_outputs import outputs_of
from .onnx_record import KEY, VERSION
from .onnx_scan import scanned
from .onnx_weights import STATES, endings, operator_for, packed

OLDEST = 13  #: opset, the first in which Softmax has one axis and Squeeze an input
MOST_BYTES = 2**31 - 2**20  #: of parameters in a file, which Protocol Buffers limit to 2 GiB


class Wanted(NamedTuple):
    """Options of a graph."""

    output: str
    lengths: bool
    states: bool
    opset: int


def export(
    net: Network,
    parameters: Mapping[str, np.ndarray],
    record: dict[str, Any],
    path: Any,
    **options: Any,
) -> Any:
    """Return a network as a checked graph, and write it if there is a path; see `Model.to_onnx`.

    Parameters
    ----------
    net : Network
    parameters : mapping
        Arrays by name.
    record : dict
        Values of JSON from which the model is made again.
    path : path, binary file or None
    **options
        Of `Wanted`.
    """
    wanted = _checked(options)
    if path is not None and not hasattr(path, "write"):
        path = validation.path("path", path)
    parameters = {name: np.asarray(array) for name, array in parameters.items()}
    for name, array in parameters.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has NaN or infinite numbers; such a model is not exported")
    if net.n_parameters * net.dtype.itemsize > MOST_BYTES:
        raise ValueError(f"a file of ONNX has at most 2 GiB; got {net.n_parameters:,} parameters")
    model = _Writer(net, parameters, wanted).model(record)
    if hasattr(path, "write"):
        path.write(model.SerializeToString())
    elif path is not None:
        files.replace(path, model.SerializeToString())
    return model


def _checked(options: dict[str, Any]) -> Wanted:
    newest = extra("onnx", "onnx").defs.onnx_opset_version()
    return Wanted(
        output=options["output"],
        lengths=validation.flag("lengths", options["lengths"]),
        states=validation.flag("states", options["states"]),
        opset=validation.whole("opset", options["opset"], OLDEST, newest),
    )


class _Writer:
    """A graph of a network, from the inputs to the outputs."""

    def __init__(self, net: Network, parameters: Mapping[str, np.ndarray], wanted: Wanted) -> None:
        self.net, self.wanted, self.graph = net, wanted, Graph(net.dtype)
        self.learned = {name: parameters[name] for name in STATES if name in parameters}
        self.operator = operator_for(net)
        rest = dict(parameters)
        if wanted.states:  # they come in
            rest = {name: array for name, array in parameters.items() if name not in self.learned}
        for name, array in packed(net, rest).items():
            self.graph.constant(array, name)
        self.state_names = STATES[: net.states]

    def model(self, record: dict[str, Any]) -> Any:
        """Return the finished model."""
        net, graph, wanted = self.net, self.graph, self.wanted
        ends = outputs_of(net, wanted.output)
        inputs, outputs = self._inputs(), []
        y, finals = self._layers(self._features())
        logits = self._logits(y, finals[0][-1])
        axes = ("N", "T") if net.sequences else ("N",)
        for name, (add, shape, dtype) in ends.items():
            out = self._padded(add(graph, logits), shape, dtype)
            graph.add("Identity", out, name=name)
            outputs.append(graph.value(name, (*axes, *shape), dtype))
        if wanted.states:
            for name, parts in zip(("hn", "cn"), finals, strict=False):
                graph.joined(*parts, axis=0, name=name)
                outputs.append(graph.value(name, (net.runs, "N", net.hidden_size)))
            record = {**record, "start": {k: v.tolist() for k, v in self.learned.items()}}
        record = {"version": VERSION, **wanted._asdict(), **record}
        return graph.model("rnn_fast", inputs, outputs, wanted.opset, {KEY: json.dumps(record)})

    # ---------------------------------------------------------------------------------- inputs

    def _inputs(self) -> list[Any]:
        """Return the graph's inputs, and add what is made of lengths."""
        net, graph = self.net, self.graph
        kind, features = (np.int64, ()) if net.embedding else (net.dtype, (net.input_size,))
        inputs = [graph.value("X", ("N", "T", *features), kind)]
        self.inside = self.lengths = ""
        if self.wanted.lengths:
            inputs.append(graph.value("lengths", ("N",), np.int64))
            self.lengths = graph.add("Cast", "lengths", to=graph.onnx.TensorProto.INT32)
            zero, one = (graph.constant(value, dtype=np.int64) for value in range(2))
            n_steps = graph.add("Squeeze", graph.size("X", 1), graph.whole(0))
            steps = graph.add("Range", zero, n_steps, one)
            column = graph.add("Unsqueeze", "lengths", graph.whole(1))
            self.inside = graph.add("Less", steps, column, name="inside")  # (N, T)
        if self.wanted.states:
            shape = (net.runs, "N", net.hidden_size)
            inputs += [graph.value(name, shape) for name in self.state_names]
        return inputs

    def _features(self) -> str:
        """Add what the lowest layer reads, (T, N, I)."""
        if self.net.embedding:
            return self.graph.turned(self.graph.add("Gather", "embedding", "X", axis=0), 1, 0, 2)
        return self.graph.turned("X", 1, 0, 2)

    def _starts(self) -> list[list[str]]:
        """Add the initial states of each layer, (D, N, H), of each kind; "" if they are zero."""
        net, graph, D = self.net, self.graph, self.net.directions
        if self.wanted.states:
            return [list(graph.parts(name, net.layers, D, axis=0)) for name in self.state_names]
        if not (self.learned or self.operator is None):
            return [[""] * net.layers] * net.states
        shape = graph.joined(graph.whole(1), graph.size("X", 0), graph.whole(1), axis=0)
        starts = []
        for name in self.state_names:
            if self.learned:
                whole = graph.add("Unsqueeze", f"{name}.start", graph.whole(1))
                parts = graph.parts(whole, net.layers, D, axis=0)
            else:
                parts = (graph.constant(np.zeros((D, 1, net.hidden_size))),) * net.layers
            starts.append([graph.add("Expand", part, shape) for part in parts])
        return starts

    # ---------------------------------------------------------------------------------- layers

    def _layers(self, x: str) -> tuple[str, list[list[str]]]:
        """Add the layers; return the states of the top, (T, N, D H), and all final states."""
        net, finals = self.net, [[] for _ in self.state_names]  # type: ignore[var-annotated]
        starts = self._starts()
        layer_of = self._scan if self.operator is None else self._operator
        if self.operator is None and self.inside:
            turned = self.graph.turned(self.inside, 1, 0)
            self.mask = self.graph.add("Unsqueeze", turned, self.graph.whole(2))  # (T, N, 1)
        for layer in range(net.layers):
            x, ends = layer_of(layer, x, [kind[layer] for kind in starts])
            for kind, end in zip(finals, ends, strict=True):
                kind.append(end)
        return x, finals

    def _operator(self, layer: int, x: str, starts: list[str]) -> tuple[str, list[str]]:
        """Add a layer as an operator; final states are (D, N, H)."""
        graph, operator, D = self.graph, self.operator, self.net.directions
        assert operator is not None
        weights = [f"{key}{layer}" for key in "WRB"]
        peepholes = [f"P{layer}"] if operator.peepholes else []
        y, *finals = graph.add_all(
            operator.name,
            *[x, *weights, self.lengths, *starts, *peepholes],
            names=tuple(f"{name}{layer}" for name in ("Y", "Y_h", "Y_c")[: 1 + len(starts)]),
            hidden_size=self.net.hidden_size,
            direction="bidirectional" if D > 1 else "forward",
            **operator.node_attributes(D),
        )
        return graph.shaped(graph.turned(y, 0, 2, 1, 3), 0, 0, -1), finals

    def _scan(self, layer: int, x: str, starts: list[str]) -> tuple[str, list[str]]:
        """Add a layer as a Scan of each direction; final states are (D, N, H)."""
        graph, D, first = self.graph, self.net.directions, self.graph.whole(0)
        own = [graph.parts(start, D, 1, axis=0) for start in starts]
        ys, ends = [], []
        for d, end in enumerate(endings(layer, D)):
            states = [graph.add("Squeeze", kind[d], first) for kind in own]
            mask = self.mask if self.inside else ""
            if d:
                backward = graph.reversed(x), graph.reversed(mask) if mask else ""
                y, finals = scanned(graph, self.net, end, backward[0], states, backward[1])
                y = graph.reversed(y)
            else:
                y, finals = scanned(graph, self.net, end, x, states, mask)
            ys.append(y)
            ends.append([graph.add("Unsqueeze", final, first) for final in finals])
        kinds = zip(*ends, strict=True)
        return graph.joined(*ys, axis=2), [graph.joined(*kind, axis=0) for kind in kinds]

    # --------------------------------------------------------------------------------- outputs

    def _logits(self, y: str, last: str) -> str:
        """Add the head to the top layer's states, or its last ones; (N, T, ...) or (N, ...)."""
        net, graph = self.net, self.graph
        if net.sequences:
            x = graph.turned(y, 1, 0, 2)
        else:
            x = graph.shaped(graph.turned(last, 1, 0, 2), 0, -1)
        if not net.output_size:
            return graph.add("Identity", x, name="logits")
        z = graph.add("Add", graph.add("MatMul", x, "Why.T"), "by")
        if net.skip:
            z = graph.add("Add", z, graph.cut("X", 0, net.output_size, 2))
        axes = [0] * (1 + net.sequences)
        return graph.shaped(z, *axes, *net.output_form, name="logits")

    def _padded(self, outputs: str, shape: tuple[int, ...], dtype: np.dtype) -> str:
        """Add zeros in the padding of outputs of every step."""
        if not (self.inside and self.net.sequences):
            return outputs
        graph, inside = self.graph, self.inside
        if shape:
            inside = graph.add("Unsqueeze", inside, graph.whole(*range(2, 2 + len(shape))))
        return graph.add("Where", inside, outputs, graph.constant(0, dtype=dtype))
