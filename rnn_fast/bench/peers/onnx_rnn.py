"""onnxruntime: its recurrent operators, with the state passed in and out of the graph.

``session.run`` makes new arrays for what comes out. The bound form writes into arrays that are made
once, and the states of two bindings change places after each call.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ...formats.onnx_operators import OPERATORS
from ..cells import CELLS
from ..problems import Params
from ..rows import Row

OPSET, IR = 17, 8  # that onnxruntime of 2022 and later reads


def graph(row: Row, params: Params) -> bytes:
    """Return a model from x (T, 1, I) and states to logits (T, 1, 1, 1) and the next states."""
    operator = next(each for each in OPERATORS if each.model == row.cell)
    tensors = {name: array[None] for name, array in operator.pack(params).items()}
    tensors |= {"Why": params["Why"].T, "by": params["by"]}
    states = ["h", "c"][: CELLS[row.cell].states]
    after = [f"{state}_next" for state in states]
    nodes = [
        helper.make_node(
            operator.name,
            ["x", "W", "R", "B", "", *states],
            ["hs", *after],
            hidden_size=row.H,
            **operator.node_attributes(1),
        ),
        helper.make_node("MatMul", ["hs", "Why"], ["product"]),
        helper.make_node("Add", ["product", "by"], ["logits"]),
    ]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(row.dtype))
    assert kind in (TensorProto.FLOAT, TensorProto.DOUBLE)
    shapes: dict[str, tuple[int, ...]] = {name: (1, 1, row.H) for name in (*states, *after)}
    shapes |= {"x": (row.T, 1, row.I), "logits": (row.T, 1, 1, 1)}
    infos = {name: helper.make_tensor_value_info(name, kind, s) for name, s in shapes.items()}
    whole = helper.make_graph(
        nodes,
        "stream",
        [infos[name] for name in ("x", *states)],
        [infos[name] for name in ("logits", *after)],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(whole, opset_imports=[opset], ir_version=IR).SerializeToString()


def session(row: Row, params: Params) -> onnxruntime.InferenceSession:
    """Return the compiled graph, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(graph(row, params), options, providers=providers)


def streams(row: Row, params: Params, quick: bool) -> dict[str, Callable[..., np.ndarray]]:
    """Return implementations of a call by name; see the package."""
    return {"onnxruntime": plain(row, params), "onnxruntime bound": bound(row, params)}


def plain(row: Row, params: Params) -> Callable[[np.ndarray], np.ndarray]:
    """Return a call of ``session.run``."""
    run = session(row, params).run
    names = ["h", "c"][: CELLS[row.cell].states]
    state: list[np.ndarray] = [np.zeros((1, 1, row.H), row.dtype) for _ in names]

    def call(x: np.ndarray) -> np.ndarray:
        nonlocal state
        fed = dict(zip(names, state, strict=True), x=x.reshape(row.T, 1, row.I))
        logits, *state = run(None, fed)
        return np.reshape(logits, (*x.shape[:-1], 1))

    return call


def bound(row: Row, params: Params) -> Callable[[np.ndarray], np.ndarray]:
    """Return a call of ``session.run_with_iobinding``."""
    graph_session = session(row, params)
    names = ["h", "c"][: CELLS[row.cell].states]
    x_in = np.zeros((row.T, 1, row.I), row.dtype)
    out = np.zeros((row.T, 1, 1, 1), row.dtype)
    states = [[np.zeros((1, 1, row.H), row.dtype) for _ in names] for _ in range(2)]
    bindings = []
    for before, after in (states, states[::-1]):
        binding = graph_session.io_binding()
        inputs = zip(["x", *names], [x_in, *before], strict=True)
        outputs = zip(["logits", *(f"{name}_next" for name in names)], [out, *after], strict=True)
        for name, array in inputs:
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, to in outputs:
            binding.bind_output(name, "cpu", 0, to.dtype, to.shape, to.ctypes.data)
        bindings.append(binding)
    turns, run = cycle(bindings), graph_session.run_with_iobinding

    def call(x: np.ndarray, kept: object = states) -> np.ndarray:  # bindings have only addresses
        x_in[:, 0] = x
        run(next(turns))
        return out.reshape(*x.shape[:-1], 1).copy()

    return call
