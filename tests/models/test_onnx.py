"""RNN, GRU and LSTM as ONNX defines the operators, evaluated by its own reference."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, SimpleRNN

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

T, B, I, H = 6, 3, 2, 4
OUTPUTS = {"RNN": ("Y", "Y_h"), "GRU": ("Y", "Y_h"), "LSTM": ("Y", "Y_h", "Y_c")}


def evaluate(operator, inputs, **attributes):
    """Outputs of one node: Y (T, D, B, H), then final states (D, B, H)."""
    names = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
    given = [name if name in inputs else "" for name in names]
    while not given[-1]:
        given.pop()
    node = helper.make_node(operator, given, OUTPUTS[operator], hidden_size=H, **attributes)
    values = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in inputs.items()
    ]
    results = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in OUTPUTS[operator]
    ]
    model = helper.make_model(helper.make_graph([node], "one", values, results))
    return ReferenceEvaluator(model).run(None, inputs)


def reorder(rows, order):
    """Blocks of H rows in another order."""
    return np.concatenate([np.split(rows, len(order))[i] for i in order])


MODELS = {
    "RNN": ("RNN", lambda **o: SimpleRNN(I, H, **o), (0,), {}),
    # ONNX: z r h; ours: r z n
    "GRU after": ("GRU", lambda **o: GRU(I, H, **o), (1, 0, 2), {"linear_before_reset": 1}),
    "GRU before": (
        "GRU",
        lambda **o: GRU(I, H, reset_after=False, **o),
        (1, 0, 2),
        {"linear_before_reset": 0},
    ),
    # ONNX: i o f c; ours: i f g o
    "LSTM": ("LSTM", lambda **o: LSTM(I, H, **o), (0, 2, 3, 1), {}),
    "LSTM peepholes": ("LSTM", lambda **o: LSTM(I, H, peepholes=True, **o), (0, 2, 3, 1), {}),
}


@pytest.mark.parametrize("both", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("name", MODELS)
def test_the_operators_of_onnx(name, both):
    operator, make, order, attributes = MODELS[name]
    D = 1 + both
    for seed in range(4):
        rng = np.random.default_rng(seed)
        model = make(
            output_size=D * H,
            loss="mse",
            dtype="f8",
            bidirectional=both,
            return_sequences=True,
        )
        for view in model.parameters.values():
            view[...] = rng.standard_normal(view.shape) / 2
        model.Why, model.by = np.eye(D * H), np.zeros(D * H)
        x, lengths = rng.standard_normal((B, T, I)), rng.integers(1, T + 1, B)
        lengths[0] = T
        lstm = operator == "LSTM"
        h, c = rng.standard_normal((2, D, B, H))
        own, final = model.predict(
            x, lengths=lengths, initial_state=(h, c) if lstm else h, return_state=True
        )
        finals = final if lstm else (final,)
        packed = [weights(model, name, end, inverse(order)) for end in ("", "_reverse")[: 1 + both]]
        for k, n in enumerate(lengths):  # alone, for the evaluator passes over sequence_lens
            for direction in ("bidirectional", "reverse") if both else ("forward",):
                runs = slice(1, 2) if direction == "reverse" else slice(None)
                inputs = {key: np.stack([p[key] for p in packed[runs]]) for key in packed[0]}
                inputs |= {"X": x[k, :n, None], "initial_h": h[runs, k : k + 1]}
                if lstm:
                    inputs["initial_c"] = c[runs, k : k + 1]
                y, *ends = evaluate(operator, inputs, direction=direction, **attributes)
                got = own[k, :n].reshape(n, D, H)[:, runs]
                np.testing.assert_allclose(got, y[:, :, 0], rtol=0, atol=1e-12)
                for mine, wanted in zip(finals, ends, strict=True):
                    np.testing.assert_allclose(mine[runs, k], wanted[:, 0], rtol=0, atol=1e-12)
            assert not own[k, n:].any()


def weights(model, name, end, order):
    """W, R, B and P of one direction."""
    W, R, b = (getattr(model, f"{kind}{end}") for kind in ("Wxh", "Whh", "bh"))
    second = np.zeros_like(b)
    if name == "GRU after":
        second[2 * H :] = getattr(model, f"bhn{end}")
    both = np.concatenate([reorder(b, order), reorder(second, order)])
    found = {"W": reorder(W, order), "R": reorder(R, order), "B": both}
    if name == "LSTM peepholes":
        i, f, o = getattr(model, f"peephole{end}")
        found["P"] = np.concatenate([i, o, f])
    return found


def inverse(order):
    """Where each of ONNX's gates is among ours."""
    return [order.index(i) for i in range(len(order))]
