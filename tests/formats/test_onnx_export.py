"""Models as graphs of ONNX: what two evaluators compute, against an oracle and our own methods."""

from __future__ import annotations

import io
import itertools
import json
import sys

import minimal_gated
import numpy as np
import pytest
import reference
from leaky import CELL as LEAKY_MEMORY
from registered import registered

from rnn_fast import GRU, LSTM, LeakyRNN, Recurrent, SimpleRNN, Stack, from_onnx
from rnn_fast.cells.specs import CELLS, Cell
from rnn_fast.layout.network import Network
from rnn_fast.layout.parameters import parameter_views
from rnn_fast.losses import LOSSES

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402

from rnn_fast.formats.onnx import export  # noqa: E402

try:
    import onnxruntime
except ImportError:  # the reference is slow, and passes over lengths
    onnxruntime = None

registration = registered(CELLS, LEAKY_MEMORY, minimal_gated.CELL)
I, H, N, T = 4, 5, 3, 6
TOLERANCE = {"f4": 1e-5, "f8": 1e-12}


def runtime(proto):
    """Outputs of onnxruntime by name, as a function of the inputs."""
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))


def evaluator(proto):
    """The same of ONNX's reference."""
    reference_of = ReferenceEvaluator(proto)
    names = reference_of.output_names
    return lambda feeds: dict(zip(names, reference_of.run(None, feeds), strict=True))


def runners(proto, lengths=False):
    """Functions that compute a graph: of onnxruntime, and of the reference where it can."""
    nodes = {node.op_type: node for node in proto.graph.node}
    knows = "RNN" not in nodes or not any(a.name == "activations" for a in nodes["RNN"].attribute)
    if onnxruntime is not None:
        yield runtime(proto)
    if knows and not (lengths and nodes.keys() & {"RNN", "GRU", "LSTM"}):
        yield evaluator(proto)


def fill(model, seed=0):
    """Random parameters of moderate size."""
    draw = np.random.default_rng(seed).standard_normal
    for view in model.parameters.values():
        view[...] = draw(view.shape) / np.sqrt(view.shape[-1])
    return model


# --------------------------------------------------------------------------- against the oracle

FORMS = [  # layers, directions, sequences, embedding, learned state, lengths, states
    (1, 1, False, 0, False, False, False),
    (2, 2, True, 0, True, True, False),
    (2, 1, False, 3, False, True, True),
    (1, 2, True, 0, False, False, True),
]
BUILT_IN = [name for name, cell in CELLS.items() if not cell.maths]
DECLARED = [minimal_gated.CELL.name, LEAKY_MEMORY.name]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("cell", BUILT_IN + DECLARED)
def test_graphs_compute_as_the_oracle(cell, dtype):
    for seed, form in enumerate(FORMS):
        layers, directions, sequences, embedding, learned, has_lengths, has_states = form
        net = Network(
            cell=cell,
            dtype=np.dtype(dtype),
            input_size=I,
            hidden_size=H,
            output_size=2,
            loss="mse",
            layers=layers,
            directions=directions,
            sequences=sequences,
            embedding=embedding,
            learned_state=learned,
            cell_options=tuple(value for _, value in CELLS[cell].options),
        )
        draws = np.random.default_rng(seed)
        flat = (draws.standard_normal(net.n_parameters) / 2).astype(dtype)
        views = parameter_views(flat, net)
        wanted = {"output": "decision_function", "lengths": has_lengths, "states": has_states}
        proto = export(net, views, {}, None, opset=17, **wanted)
        x = draws.integers(0, I, (N, T)) if embedding else draws.standard_normal((N, T, I))
        lengths = np.array([T, 2, 4]) if has_lengths else np.full(N, T)
        state = draws.standard_normal((net.states, net.runs, N, H)).astype(dtype)
        feeds = {"X": x if embedding else x.astype(dtype)}
        feeds |= {"lengths": lengths} if has_lengths else {}
        feeds |= dict(zip(("h0", "c0"), state, strict=False)) if has_states else {}
        expected = reference.run(
            net,
            {name: view.astype(float) for name, view in views.items()},
            [row[:n] for row, n in zip(x if embedding else feeds["X"], lengths, strict=True)],
            state=state.transpose(2, 0, 1, 3).astype(float) if has_states else None,
        )
        for run in runners(proto, has_lengths):
            got = run(feeds)
            for row, one, n in zip(
                got["decision_function"], expected.outputs, lengths, strict=True
            ):
                assert np.abs((row[:n] if sequences else row) - one).max() < TOLERANCE[dtype]
                assert not (sequences and row[n:].any())
            for name, final in zip(("hn", "cn"), expected.final.swapaxes(0, 1), strict=False):
                if has_states:
                    final = final.swapaxes(0, 1)
                    np.testing.assert_allclose(got[name], final, rtol=0, atol=TOLERANCE[dtype])


def test_which_form_a_model_gets():
    kinds = {
        "GRU": GRU(2, 3),
        "RNN": SimpleRNN(2, 3, nonlinearity="relu"),
        "LSTM": LSTM(2, 3, peepholes=True),
        "Scan": LeakyRNN(2, 3),
    }
    for operator, model in kinds.items():
        assert operator in {node.op_type for node in model.to_onnx().graph.node}
    assert "Scan" in {node.op_type for node in GRU(2, 3, dtype="f8").to_onnx().graph.node}


# ----------------------------------------------------------------------- against our own methods

METHODS = {  # losses without these are refused
    "predict": lambda loss: True,
    "predict_proba": lambda loss: loss.classifies,
    "decision_function": lambda loss: True,
    "predict_distribution": lambda loss: loss.means is not None,
}


@pytest.mark.usefixtures("one_tile")
@pytest.mark.parametrize("loss", LOSSES)
def test_outputs_are_those_of_the_methods(loss):
    x = np.random.default_rng(0).standard_normal((N, T, I)).astype("f4")
    several = 3 if LOSSES[loss].takes_classes else (2, 2)
    for size, sequences in itertools.product((several, 2), (False, True)):
        model = fill(GRU(I, H, size, loss=loss, return_sequences=sequences))
        for method, has_it in METHODS.items():
            if not has_it(LOSSES[loss]):
                with pytest.raises(ValueError, match=f"^output {method} needs a model with loss"):
                    model.to_onnx(output=method)
                continue
            wanted = getattr(model, method)(x)
            wanted = wanted if isinstance(wanted, tuple) else (wanted,)
            for run in runners(model.to_onnx(output=method)):
                for got, own in zip(run({"X": x}).values(), wanted, strict=True):
                    assert (got.shape, got.dtype) == (own.shape, own.dtype)
                    np.testing.assert_allclose(got, own, rtol=1e-5, atol=1e-5)


def test_one_output_has_no_axis_and_skip_is_added():
    pytest.importorskip("onnxruntime")
    x = np.random.default_rng(0).standard_normal((N, T, I)).astype("f4")
    model = fill(GRU(I, H, loss="mse", return_sequences=True, skip=True))
    got = runtime(model.to_onnx(lengths=True))({"X": x, "lengths": np.array([6, 1, 3])})
    assert got["predict"].shape == (N, T)
    np.testing.assert_allclose(got["predict"], model.predict(x, lengths=[6, 1, 3]), atol=1e-5)


def test_chunks_of_a_stream():
    for model in (LSTM(I, H, 2, num_layers=2, loss="mse"), LeakyRNN(I, H, 2, loss="mse")):
        model = fill(model)
        x = np.random.default_rng(0).standard_normal((N, T, I)).astype("f4")
        step = next(runners(model.to_onnx(states=True)))
        whole = next(runners(model.to_onnx()))({"X": x})["predict"]
        names = ("h0", "c0") if isinstance(model, LSTM) else ("h0",)
        state = {name: np.zeros((model.num_layers, N, H), "f4") for name in names}
        for chunk in (x[:, :1], x[:, 1:4], x[:, 4:]):
            out, *state = step({"X": chunk, **state}).values()
            state = dict(zip(names, state, strict=True))
        np.testing.assert_allclose(out, whole, rtol=0, atol=1e-5)


def test_layers_alone():
    stack = Stack("gru", I, H, num_layers=2, bidirectional=True, seed=0)
    x = np.random.default_rng(0).standard_normal((N, T, I)).astype("f4")
    for run in runners(stack.to_onnx()):
        got = run({"X": x})["outputs"]
        np.testing.assert_allclose(got, stack.states(x, layer=-1), rtol=0, atol=1e-5)


# -------------------------------------------------------------------------------- files, errors


def test_a_file_is_written_whole(tmp_path):
    model, path, memory = GRU(2, 3, seed=0), tmp_path / "model.onnx", io.BytesIO()
    proto = model.to_onnx(path)
    model.to_onnx(memory)
    assert path.read_bytes() == memory.getvalue() == proto.SerializeToString()
    assert [*tmp_path.iterdir()] == [path]
    assert json.loads(proto.metadata_props[0].value)["model"]["hidden_size"] == 3
    with pytest.raises(FileNotFoundError):
        model.to_onnx(tmp_path / "none" / "model.onnx")
    model.Whh[0, 0] = np.nan
    with pytest.raises(ValueError, match="^Whh has NaN or infinite numbers"):
        model.to_onnx(path)
    assert path.read_bytes() == memory.getvalue()


@pytest.mark.parametrize("opset", [13, 15, 18, 21])
def test_versions_of_operators(opset):
    x = np.random.default_rng(0).standard_normal((N, T, I)).astype("f4")
    for model in (GRU(I, H, 3, loss="cross_entropy"), LeakyRNN(I, H, loss="mse")):
        newest, other = (fill(model).to_onnx(opset=which) for which in (17, opset))
        assert other.opset_import[0].version == opset
        for one, two in zip(runners(newest), runners(other), strict=True):
            np.testing.assert_array_equal(one({"X": x})["predict"], two({"X": x})["predict"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output": "proba"}, ValueError, "^output must be one of 'predict', .*; got 'proba'"),
        ({"lengths": 1}, TypeError, "^lengths must be True or False; got 1$"),
        ({"states": "yes"}, TypeError, "^states must be True or False"),
        ({"opset": 12}, ValueError, "^opset must be at least 13; got 12$"),
        ({"opset": 1000}, ValueError, "^opset must be at most [0-9]+; got 1000$"),
        ({"path": 3}, TypeError, "^path must be a path; got 3$"),
    ],
)
def test_arguments_that_do_not_fit(options, error, message):
    with pytest.raises(error, match=message):
        GRU(2, 3).to_onnx(**options)


@pytest.mark.usefixtures("cells_as_before")
def test_a_cell_of_compiled_maths_alone():
    spec = CELLS["tanh"]
    CELLS.add(Cell("secret", spec.kernels, spec.gates, spec.rows))
    with pytest.raises(ValueError, match="^the maths of cell 'secret' is known to compiled"):
        Stack("secret", 2, 3).to_onnx()


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"onnx is not installed; `pip install .rnn_fast\[onnx\]"):
        SimpleRNN(2, 3).to_onnx()


# ------------------------------------------------------------------------------------ the sweep

KINDS = [
    (SimpleRNN, {}),
    (SimpleRNN, {"nonlinearity": "relu"}),
    (GRU, {}),
    (GRU, {"reset_after": False}),
    (LSTM, {}),
    (LSTM, {"peepholes": True}),
    (LeakyRNN, {}),
    (LeakyRNN, {"form": "membrane", "learn_alpha": True}),
    (Recurrent, {"cell": minimal_gated.CELL}),
]


def random_model(draws):
    """A model of random options and weights, one of five in float64."""
    kind, options = KINDS[draws.integers(len(KINDS))]
    loss = str(draws.choice([*LOSSES]))
    size = int(draws.integers(2, 5))
    if not LOSSES[loss].takes_classes and draws.integers(3) == 0:
        size = 1 if draws.integers(2) else (2, 3)
    options = {
        **options,
        "num_layers": int(draws.integers(1, 4)),
        "bidirectional": bool(draws.integers(2)),
        "return_sequences": bool(draws.integers(2)),
        "learn_initial_state": bool(draws.integers(2)),
        "embedding_size": int(draws.integers(1, 6)) if draws.integers(3) == 0 else None,
        "loss": loss,
        "dtype": "f8" if draws.integers(5) == 0 else "f4",
    }
    I, H = (int(n) for n in draws.integers(1, 20, 2))
    can_skip = options["return_sequences"] and not options["embedding_size"] and loss == "mse"
    if can_skip and draws.integers(2) and I >= np.prod(size):
        options["skip"] = True
    return fill(kind(I, H, size, **options), int(draws.integers(2**31)))


@pytest.mark.sweep
def test_a_thousand_models():
    """Each random model, method, lengths and states in onnxruntime, against ours; and back."""
    pytest.importorskip("onnxruntime")
    draws, worst = np.random.default_rng(0), {"f4": 0.0, "f8": 0.0}
    for _ in range(1000):
        model = random_model(draws)
        dtype = model.dtype.str[1:]
        methods = [name for name, has_it in METHODS.items() if has_it(LOSSES[model.loss])]
        method = str(draws.choice(methods))
        has_lengths, has_states = (bool(n) for n in draws.integers(2, size=2))
        has_states = has_states and method != "predict_distribution"
        N, T = (int(n) for n in draws.integers(1, 12, 2))
        shape = (model._net.runs, N, model.hidden_size)
        x = draws.standard_normal((N, T, model.input_size)).astype(dtype)
        x = draws.integers(0, model.input_size, (N, T)) if model.embedding_size else x
        lengths = draws.integers(1, T + 1, N)
        state = draws.standard_normal((model._net.states, *shape)).astype(dtype)
        feeds, options = {"X": x}, {}
        if has_lengths:
            feeds["lengths"] = options["lengths"] = lengths
        if has_states:
            feeds |= dict(zip(("h0", "c0"), state, strict=False))
            options["initial_state"] = state[0] if len(state) == 1 else tuple(state)
            options["return_state"] = True
        wanted = getattr(model, method)(x, **options)
        flat = []
        for part in wanted if isinstance(wanted, tuple) else (wanted,):
            flat += part if isinstance(part, tuple) else (part,)
        proto = model.to_onnx(output=method, lengths=has_lengths, states=has_states)
        for got, own in zip(runtime(proto)(feeds).values(), flat, strict=True):
            assert (got.shape, got.dtype) == (own.shape, own.dtype), model
            error = float((np.abs(got - own) / np.maximum(1, np.abs(own))).max())
            worst[dtype] = max(worst[dtype], error)
            assert error < TOLERANCE[dtype], (error, model)
        again = from_onnx(proto)
        for name, view in model.parameters.items():
            assert again.parameters[name].tobytes() == view.tobytes(), (name, model)
    print(f"largest errors {worst}")
