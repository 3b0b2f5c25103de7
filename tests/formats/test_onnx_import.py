"""Models from graphs of ONNX: ours with the same bits, others' with the same results."""

from __future__ import annotations

import functools
import io
import json
import warnings

import numpy as np
import pytest
from minimal_gated import CELL as MINIMAL_GATED
from registered import registered

from rnn_fast import GRU, LSTM, LeakyRNN, Recurrent, Stack, from_onnx
from rnn_fast.cells.specs import CELLS
from rnn_fast.errors import ModelFileError

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

registration = registered(CELLS, MINIMAL_GATED)
pytestmark = pytest.mark.usefixtures("one_tile")
I, H = 3, 4
RNG = np.random.default_rng(0)


def fill(model, scale=0.5):
    for view in model.parameters.values():
        view[...] = scale * RNG.standard_normal(view.shape)
    return model


def assert_same_model(one, two):
    assert type(one) is type(two) and repr(one) == repr(two)
    for name, view in one.parameters.items():
        assert two.parameters[name].tobytes() == view.tobytes(), name


# ----------------------------------------------------------------------------------------- ours

#: in few programs: a cell and a dtype each
OURS = {
    "gru": lambda **o: GRU(I, H, 2, num_layers=2, bidirectional=True, learning_rate=0.5, **o),
    "sequences": lambda **o: GRU(I, H, (2, 3), loss="mse", return_sequences=True, dropout=0.1, **o),
    "gaussian": lambda **o: GRU(I, H, loss="gaussian", learn_initial_state=True, **o),
    "words": lambda **o: GRU(9, H, 5, loss="cross_entropy", embedding_size=I, **o),
    "stack": lambda **o: Stack("gru", I, H, num_layers=2, learn_initial_state=True, **o),
    "scan": lambda **o: GRU(I, H, 2, bidirectional=True, loss="mse", dtype="f8", **o),
    "leaky": lambda **o: LeakyRNN(I, H, form="membrane", learn_alpha=True, dtype="f8", **o),
    "own": lambda **o: Recurrent(I, H, cell=MINIMAL_GATED, loss="mse", **o),
}


@pytest.mark.parametrize("name", OURS)
def test_there_and_back(name):
    model = fill(OURS[name](seed=0))
    model.bh[0] = -0.0
    for options in ({}, {"lengths": True, "states": True}):
        assert_same_model(model, from_onnx(model.to_onnx(**options), seed=0))


def test_files_and_what_is_recorded(tmp_path):
    model = GRU(I, H, 2, loss="mse", learning_rate=0.25, seed=0)
    model.constrain("Whh", mask=np.eye(H, dtype=bool)[np.arange(3 * H) % H])
    model.to_onnx(tmp_path / "model.onnx")
    again = from_onnx(tmp_path / "model.onnx")
    assert_same_model(model, again)
    assert again.description() == model.description()
    beside = {"save_as_external_data": True, "size_threshold": 0}  # as large models are kept
    onnx.save_model(model.to_onnx(), tmp_path / "apart.onnx", **beside)
    assert_same_model(model, from_onnx(tmp_path / "apart.onnx"))
    memory = io.BytesIO((tmp_path / "model.onnx").read_bytes())
    other = from_onnx(memory, loss="huber", learning_rate=0.5, seed=0)
    assert (other.loss, other.learning_rate) == ("huber", 0.5)


def test_a_graph_of_ours_that_was_changed():
    changes = {
        "MatMul": ("Mul", "^ONNX's evaluator cannot compute the graph"),
        "Add": ("Sub", "^the graph does more than its layers and its head: it differs"),
    }
    for operator, (other, message) in changes.items():
        proto = fill(GRU(I, H, 2, seed=0)).to_onnx(output="predict_proba")
        for node in proto.graph.node:
            if node.op_type == operator:
                node.op_type = other
        with pytest.raises(ValueError, match=message):
            from_onnx(proto)
    proto = fill(GRU(I, H, 2, seed=0)).to_onnx()
    for tensor in proto.graph.initializer:
        if tensor.name == "Why.T":  # another program's names: read as its graphs are
            tensor.name = "weight"
    for node in proto.graph.node:
        node.input[:] = ["weight" if name == "Why.T" else name for name in node.input]
    with pytest.raises(ValueError, match=" .Greater.: a model has nothing that computes this"):
        from_onnx(proto)
    proto = GRU(I, H, 2, seed=0).to_onnx()
    (text,) = proto.metadata_props
    record = json.loads(text.value)
    for change, message in [
        ({"cell": "nothing", "module": "m"}, "not declared"),
        ({"hidden_size": 0}, "unk"),
    ]:
        text.value = json.dumps({**record, "model": {**record["model"], **change}})
        with pytest.raises(ModelFileError, match=message):
            from_onnx(proto)


# --------------------------------------------------------------------------------------- others'


class Draft:
    """A graph that is written by hand; values are names."""

    def __init__(self, kind=np.float32):
        self.nodes, self.tensors, self.kind = [], [], kind

    def tensor(self, value, kind=None):
        name = f"constant_{len(self.tensors)}"
        array = np.ascontiguousarray(value, kind or self.kind)
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator, *inputs, n=1, **attributes):
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(n)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=names[0], **attributes))
        return names[0] if n == 1 else names

    def recurrent(self, kind, x, draws, inputs=I, D=1, bias=True, extra=(), **attributes):
        G = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
        shapes = [(D, G * H, inputs), (D, G * H, H), (D, 2 * G * H)][: 2 + bias]
        weights = [self.tensor(draws.standard_normal(shape) / 2) for shape in shapes]
        attributes = {"hidden_size": H, **attributes}
        n = 3 if kind == "LSTM" else 2
        return self.node(kind, x, *weights, *extra, n=n, **attributes)

    def proto(self, *outputs, x=("N", "T", I), more=()):
        real = helper.np_dtype_to_tensor_dtype(np.dtype(self.kind))
        kind = TensorProto.INT64 if len(x) == 2 else real
        inputs = [helper.make_tensor_value_info("x", kind, x), *more]
        results = [helper.make_tensor_value_info(name, real, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "theirs", inputs, results, self.tensors)
        opset = helper.make_opsetid("", 17)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def keras_like(head=True, activation="Sigmoid", sequences=False, **options):
    """A classifier as tf2onnx writes it: zero states made of the shape, Y_h or Y squeezed."""
    draft, draws = Draft(), np.random.default_rng(1)
    x = draft.node("Transpose", "x", perm=[1, 0, 2])
    n = draft.node("Gather", draft.node("Shape", "x"), draft.tensor([0], np.int64))
    sizes = [draft.tensor([size], np.int64) for size in (1, H)]
    zero = draft.node(
        "Expand", draft.tensor(0.0), draft.node("Concat", sizes[0], n, sizes[1], axis=0)
    )
    y, last, _ = draft.recurrent("LSTM", x, draws, extra=("", zero, zero), **options)
    if sequences:
        y = draft.node("Squeeze", y, draft.tensor([1], np.int64))
        out = draft.node("Transpose", y, perm=[1, 0, 2])
    else:
        out = draft.node("Squeeze", last, draft.tensor([0], np.int64))
    if head:
        out = draft.node("MatMul", out, draft.tensor(draws.standard_normal((H, 2))))
        out = draft.node("Add", out, draft.tensor(draws.standard_normal(2)))
    if activation:
        out = draft.node(activation, out)
    return draft, out


def test_what_keras_writes():
    draft, out = keras_like()
    model = from_onnx(draft.proto(out))
    assert (type(model), model.loss, model.return_sequences) == (LSTM, "bce", False)
    draft, out = keras_like(activation="Softmax", sequences=True)
    model = from_onnx(draft.proto(out))
    assert (model.loss, model.return_sequences) == ("cross_entropy", True)
    draft, out = keras_like(activation=None)
    assert from_onnx(draft.proto(out)).loss == "mse"
    assert from_onnx(draft.proto(out), loss="bce", learning_rate=0.5).learning_rate == 0.5
    with pytest.raises(ValueError, match="^node 'Sigmoid.*' .Sigmoid.: the outputs of loss mse"):
        draft, out = keras_like()
        from_onnx(draft.proto(out), loss="mse")


BOTH = {"direction": "bidirectional", "linear_before_reset": 1}


def two_directions(draft, draws, x):
    """A forward and a reverse node, joined, as older exporters write a bidirectional layer."""
    parts = [
        draft.recurrent("GRU", x, draws, bias=d == "forward", direction=d, linear_before_reset=1)
        for d in ("forward", "reverse")
    ]
    ys = [draft.node("Squeeze", y, draft.tensor([1], np.int64)) for y, _ in parts]
    return draft.node("Concat", *ys, axis=-1)


def test_other_forms():
    draws = np.random.default_rng(2)
    draft = Draft()  # steps first, a Gemm of the last step, sizes that are fixed
    y, _ = draft.recurrent("RNN", "x", draws, activations=["Relu"])
    last = draft.node("Gather", y, draft.tensor(-1, np.int64), axis=0)
    last = draft.node("Squeeze", last, draft.tensor([0], np.int64))
    out = draft.node("Gemm", last, draft.tensor(draws.standard_normal((2, H))), transB=1)
    model = from_onnx(draft.proto(out, x=(7, 2, I)))
    assert (model.nonlinearity, model.return_sequences) == ("relu", False)

    draft = Draft()  # one node a direction
    y = two_directions(draft, draws, "x")
    out = draft.node("MatMul", y, draft.tensor(draws.standard_normal((2 * H, 2))))
    model = from_onnx(draft.proto(out))
    assert (model.bidirectional, model.reset_after, model.return_sequences) == (True, True, True)

    draft = Draft()  # indices, also from the end, and states that come in
    nine, zero = draft.tensor(9, np.int64), draft.tensor(0, np.int64)
    index = draft.node("Where", draft.node("Less", "x", zero), draft.node("Add", "x", nine), "x")
    embedded = draft.node("Gather", draft.tensor(draws.standard_normal((9, I))), index)
    state = [helper.make_tensor_value_info("state", TensorProto.FLOAT, (1, "N", H))]
    y, last = draft.recurrent("GRU", embedded, draws, extra=("", "state"), linear_before_reset=1)
    stack = from_onnx(draft.proto(y, last, x=("T", "N"), more=state))
    assert (type(stack), stack.cell, stack.embedding.shape) == (Stack, "gru", (9, I))

    draft = Draft()  # lengths of an input, cut to the shape that the graph takes
    more = [helper.make_tensor_value_info("n", TensorProto.INT64, ("N",))]
    steps = draft.node("Gather", draft.node("Shape", "x"), draft.tensor(0, np.int64))
    short = draft.node("Cast", draft.node("Min", "n", steps), to=TensorProto.INT32)
    y, last = draft.recurrent("GRU", "x", draws, extra=(short,), linear_before_reset=1)
    assert from_onnx(draft.proto(y, x=("T", "N", I), more=more)).cell == "gru"

    draft = Draft()  # the last states alone, and a constant that they start from
    start = draft.tensor(draws.standard_normal((2, 1, H)).repeat(2, 1))
    _, last = draft.recurrent("GRU", "x", draws, D=2, extra=("", start), **BOTH)
    stack = from_onnx(draft.proto(last, x=("T", 2, I)))
    np.testing.assert_array_equal(stack.h0, numpy_helper.to_array(draft.tensors[0])[:, 0])


def mean(draft, out):
    return draft.node("ReduceMean", out, axes=[1], keepdims=0)


REFUSED = {
    "^node 'ReduceMean.*' .ReduceMean.: a model has nothing": lambda: keras_like_then(mean),
    "^node 'Relu.*' .Relu.: a model has nothing": lambda: keras_like(activation="Relu"),
    "^node 'LSTM.*: models have no clip": lambda: keras_like(clip=3.0),
    "^node 'LSTM.*: models have no such cell with activations": lambda: keras_like(
        activations=["HardSigmoid", "Tanh", "Tanh"]
    ),
    "^node 'LSTM.*: a layer is forward or bidirectional; got reverse": lambda: keras_like(
        direction="reverse"
    ),
    "^node 'MatMul.*' .MatMul.: a model has nothing": lambda: keras_like_then(second_head),
    "^the graph does more than its layers and its head: it differs": lambda: keras_like_then(
        lambda draft, out: draft.node("Concat", *halves(draft, out)[::-1], axis=-1)
    ),
    "^the graph does more .*: it returns .3, 1. where": lambda: keras_like_then(
        lambda draft, out: halves(draft, out)[0]
    ),
}


def halves(draft, out):
    return draft.node("Split", out, draft.tensor([1, 1], np.int64), n=2, axis=-1)


def second_head(draft, out):
    return draft.node("MatMul", out, draft.tensor(np.eye(2)))


def keras_like_then(change):
    draft, out = keras_like(activation=None, sequences=change is mean)
    return draft, change(draft, out)


@pytest.mark.parametrize("message", REFUSED)
def test_what_a_model_does_not_have(message):
    draft, out = REFUSED[message]()
    with pytest.raises(ValueError, match=message):
        from_onnx(draft.proto(out))


def test_other_refusals(tmp_path):
    draws = np.random.default_rng(3)
    draft = Draft()
    out = draft.node("MatMul", "x", draft.tensor(np.eye(I)))
    with pytest.raises(ValueError, match="^the graph has no GRU, LSTM, RNN node$"):
        from_onnx(draft.proto(out))
    proto = LeakyRNN(I, H).to_onnx()
    del proto.metadata_props[:]
    with pytest.raises(ValueError, match="RNN node; node .* .Scan.: a recurrence of this form is"):
        from_onnx(proto)
    draft = Draft()  # features that are scaled first
    y, _ = draft.recurrent("GRU", draft.node("Mul", "x", draft.tensor(2.0)), draws)
    with pytest.raises(ValueError, match="^node 'Mul.*' .Mul.: a model has nothing"):
        from_onnx(draft.proto(y))
    draft = Draft()  # an index that is taken for another
    eight, zero = draft.tensor(8, np.int64), draft.tensor(0, np.int64)
    index = draft.node("Where", draft.node("Equal", "x", eight), zero, "x")
    embedded = draft.node("Gather", draft.tensor(draws.standard_normal((9, I))), index)
    y, _ = draft.recurrent("GRU", embedded, draws)
    with pytest.raises(ValueError, match="^node 'GRU.*: it does not read the input 'x' as it is"):
        from_onnx(draft.proto(y, x=("T", "N")))
    draft = Draft()  # the steps backwards
    back = [draft.tensor([n], np.int64) for n in (-1, -100, 0, -1)]
    y, _ = draft.recurrent("GRU", draft.node("Slice", "x", *back), draws)
    with pytest.raises(ValueError, match="^node 'GRU.*: it does not read the input 'x' as it is"):
        from_onnx(draft.proto(y))
    draft = Draft()  # two steps of however many
    short = draft.tensor([2, 2, 2], np.int32)
    y, _ = draft.recurrent("GRU", "x", draws, extra=(short,))
    with pytest.raises(ValueError, match="^node 'GRU.*: its sequence_lens are not those of an i"):
        from_onnx(draft.proto(y, x=("T", 3, I)))
    draft = Draft()  # two kinds of layers
    y, _ = draft.recurrent("GRU", "x", draws)
    y = draft.node("Squeeze", y, draft.tensor([1], np.int64))
    y, *_ = draft.recurrent("LSTM", y, draws, inputs=H)
    with pytest.raises(ValueError, match="^node 'LSTM.*: all layers must have one kind"):
        from_onnx(draft.proto(y))
    with pytest.raises(ValueError, match="^loss: the graph has no head, which a loss needs"):
        draft = Draft()
        from_onnx(draft.proto(draft.recurrent("GRU", "x", draws)[0]), loss="mse")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(ValueError, match="text.onnx: no graph of ONNX"):
        from_onnx(tmp_path / "text.onnx")
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "none.onnx")
    with pytest.raises(TypeError, match="^path_or_model must be a path"):
        from_onnx(3)


# --------------------------------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("fixed", [False, True])
def test_what_pytorch_writes(fixed):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self, kind, layers, both, read):
            super().__init__()
            self.rnn = kind(I, H, layers, bidirectional=both, batch_first=True)
            self.head, self.read = torch.nn.Linear(H * (1 + both), 2), read

        def forward(self, x):
            out, last = self.rnn(x)
            return self.head(self.read(out, last[0] if isinstance(last, tuple) else last))

    relu = functools.partial(torch.nn.RNN, nonlinearity="relu")
    nets = [
        (Net(torch.nn.LSTM, 2, False, lambda out, last: out[:, -1]), False),
        (Net(torch.nn.GRU, 2, True, lambda out, last: out), True),
        (Net(torch.nn.GRU, 1, True, lambda out, last: torch.cat([last[0], last[1]], 1)), False),
        (Net(relu, 1, False, lambda out, last: last[-1]), False),
    ]
    x = torch.randn(3, 5, I)
    for net, sequences in nets:
        file = io.BytesIO()
        axes = {} if fixed else {"dynamic_axes": {"x": {0: "N", 1: "T"}}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(net.eval(), (x,), file, input_names=["x"], dynamo=False, **axes)
        file.seek(0)
        model = from_onnx(file)
        assert model.return_sequences is sequences
        with torch.no_grad():
            np.testing.assert_allclose(model.predict(x.numpy()), net(x).numpy(), atol=1e-5)
