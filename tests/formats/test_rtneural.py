"""JSON of audio plug-ins: read by the rules of their parsers, and back again."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import reference

from rnn_fast import GRU, LSTM, LeakyRNN, ModelFileError, SimpleRNN, from_rtneural
from rnn_fast.losses import LOSSES

RNG = np.random.default_rng(0)
EVERY = {"return_sequences": True}


def drawn(model):
    for view in model.parameters.values():
        view[...] = RNG.standard_normal(view.shape) / 2
    return model


def logits(model, X):
    """Logits of steps (T, I) by the textbook."""
    net, p, rows = model._net, model.parameters, X
    for k in range(net.layers):
        end = f"_l{k}" if k else ""
        own = {name[: len(name) - len(end)]: p[name] for name in p if name.endswith(end)}
        own = {name: np.float64(own[name]) for name in ("Wxh", "Whh", "bh", "bhn") if name in own}
        h, c, out = np.zeros(net.hidden_size), np.zeros(net.hidden_size), []
        for row in rows:
            h, c, _ = reference.CELLS[net.cell].forward(net.cell, own, row, h, c)
            out.append(h)
        rows = np.array(out)
    return rows @ np.float64(p["Why"]).T + p["by"]


# ---------------------------------------------------------------------- the rules of the parsers


def rtneural(content, X):
    """Outputs of steps (T, I), as RTNeural's parser builds and runs the layers.

    Sizes come from the last number of each shape.  A kernel has a row for each input and the gates
    side by side, a GRU's in the order z r h with two rows of biases.
    """
    size, layers = content["in_shape"][-1], []
    for layer in content["layers"]:
        n, weights = layer["shape"][-1], layer["weights"]
        if layer["type"] in ("dense", "time-distributed-dense"):
            kernel, bias = np.zeros((size, n)), np.array(weights[1], float)
            for i, row in enumerate(weights[0]):
                kernel[i, : len(row)] = row
            layers.append(("dense", kernel, bias))
            if layer.get("activation"):
                layers.append((layer["activation"],))
        elif layer["type"] in ("gru", "lstm"):
            gates = 3 if layer["type"] == "gru" else 4
            kernel, recurrent = np.zeros((size, gates * n)), np.zeros((n, gates * n))
            for matrix, rows in ((kernel, weights[0]), (recurrent, weights[1])):
                for i, row in enumerate(rows):
                    matrix[i, : len(row)] = row
            layers.append((layer["type"], kernel, recurrent, np.array(weights[2], float)))
        else:
            raise AssertionError(f"RTNeural ignores a layer of type {layer['type']}")
        size = n
    out = X
    for kind, *arrays in layers:
        out = RULES[kind](out, *arrays)
    return out


def run_gru(X, W, U, b):
    h, out = np.zeros(len(U)), []
    assert b.shape == (2, W.shape[1])
    for x in X:
        (xz, xr, xc), (hz, hr, hc) = np.split(x @ W, 3), np.split(h @ U, 3)
        (bz, br, bc), (cz, cr, cc) = np.split(b[0], 3), np.split(b[1], 3)
        z, r = reference.sigmoid(xz + hz + bz + cz), reference.sigmoid(xr + hr + br + cr)
        c = np.tanh(xc + r * (hc + cc) + bc)
        h = (1 - z) * c + z * h
        out.append(h)
    return np.array(out)


def run_lstm(X, W, U, b):
    h, c, out = np.zeros(len(U)), np.zeros(len(U)), []
    assert b.shape == (W.shape[1],)
    for x in X:
        i, f, g, o = np.split(x @ W + h @ U + b, 4)
        c = reference.sigmoid(f) * c + reference.sigmoid(i) * np.tanh(g)
        h = reference.sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.array(out)


RULES = {
    "gru": run_gru,
    "lstm": run_lstm,
    "dense": lambda X, W, b: X @ W + b,
    "sigmoid": reference.sigmoid,
    "softmax": reference.softmax,
}


def guitarml(content, X):
    """Outputs of steps (T, I) by GuitarML's rules: PyTorch's layers `rec` and `lin`."""
    data, state = content["model_data"], {k: np.array(v) for k, v in content["state_dict"].items()}
    rows, n = X, data["hidden_size"]
    for k in range(data["num_layers"]):
        W, U = state[f"rec.weight_ih_l{k}"].T, state[f"rec.weight_hh_l{k}"].T
        b, c = state[f"rec.bias_ih_l{k}"], state[f"rec.bias_hh_l{k}"]
        if data["unit_type"] == "LSTM":  # as the plug-ins set the weights of RTNeural's layer
            rows = run_lstm(rows, W, U, b + c)
            continue
        order = np.r_[n : 2 * n, :n, 2 * n : 3 * n]  # r z n to z r n
        rows = run_gru(rows, W[:, order], U[:, order], np.stack([b[order], c[order]]))
    y = rows @ state["lin.weight"].T + state["lin.bias"]
    skip = data["skip"]
    return y + X[:, :skip] if skip else y


MODELS = {
    "lstm": lambda **o: LSTM(1, 8, loss="mse", **o),
    "gru": lambda **o: GRU(2, 5, 3, loss="huber", **o),
    "two": lambda **o: LSTM(3, 4, 2, loss="mse", num_layers=2, skip=True, **EVERY, **o),
    "three": lambda **o: GRU(1, 3, loss="mae", num_layers=3, skip=True, **EVERY, **o),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", MODELS)
def test_the_parsers_rules(name, dtype, tmp_path):
    model = drawn(MODELS[name](dtype=dtype))
    model.to_rtneural(tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    X = RNG.standard_normal((9, model.input_size))
    wanted = logits(model, X)
    np.testing.assert_allclose(rtneural(content, X), wanted, rtol=0, atol=1e-12)
    whole = wanted + X[:, : model.output_size] if model.skip else wanted
    np.testing.assert_allclose(guitarml(content, X), whole, rtol=0, atol=1e-12)
    assert content.get("in_skip", 0) == (model.output_size if model.skip else 0)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("part", ["layers", "state_dict"])
def test_there_and_back(name, dtype, part, tmp_path):
    model = drawn(MODELS[name](dtype=dtype))
    model.to_rtneural(tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    del content["state_dict" if part == "layers" else "layers"]
    (tmp_path / "part.json").write_text(json.dumps(content))
    back = from_rtneural(tmp_path / "part.json", dtype=dtype, loss=model.loss, learning_rate=0.5)
    assert type(back) is type(model) and back.learning_rate == 0.5 and back.return_sequences
    assert (back.skip, back.loss, back.dtype) == (model.skip, model.loss, model.dtype)
    assert back.parameters.keys() == model.parameters.keys()
    for key, view in model.parameters.items():
        np.testing.assert_array_equal(back.parameters[key], view)


@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
def test_probabilities(loss, tmp_path):
    model = drawn(GRU(2, 4, 3, loss=loss))
    model.to_rtneural(tmp_path / "m.json", output="predict_proba")
    content = json.loads((tmp_path / "m.json").read_text())
    X = RNG.standard_normal((9, 2))
    wanted = LOSSES[loss].activation(logits(model, X))
    np.testing.assert_allclose(rtneural(content, X), wanted, rtol=0, atol=1e-6)
    assert content.keys() == {"in_shape", "layers"}
    assert from_rtneural(tmp_path / "m.json").loss == loss
    with pytest.raises(ValueError, match="loss mse has other outputs than the file's"):
        from_rtneural(tmp_path / "m.json", loss="mse")


def test_gaussian_has_two_logits_a_value(tmp_path):
    model = drawn(LSTM(1, 3, 2, loss="gaussian"))
    model.to_rtneural(tmp_path / "m.json")
    back = from_rtneural(tmp_path / "m.json", loss="gaussian", return_sequences=False)
    assert back.output_size == 2 and not back.return_sequences
    np.testing.assert_array_equal(back.Why, model.Why)


def test_files_of_others(tmp_path):
    """An activation layer of its own, and a simple RNN without a bias of the read-out."""
    model = drawn(LSTM(2, 3, 2, loss="bce"))
    model.to_rtneural(tmp_path / "m.json", output="predict_proba")
    content = json.loads((tmp_path / "m.json").read_text())
    content["layers"][-1] |= {"activation": "", "type": "time-distributed-dense"}
    content["layers"].append({"type": "activation", "activation": "sigmoid", "shape": [None, 2]})
    (tmp_path / "m.json").write_text(json.dumps(content))
    assert from_rtneural(tmp_path / "m.json").loss == "bce"
    (tmp_path / "m.json").write_text(json.dumps({**content, "in_skip": 2}))
    with pytest.raises(ModelFileError, match="in_skip adds inputs behind the activation sigmoid"):
        from_rtneural(tmp_path / "m.json")
    state = {
        "rec.weight_ih_l0": [[1.0], [2.0]],
        "rec.weight_hh_l0": [[0.1, 0.2], [0.3, 0.4]],
        "rec.bias_ih_l0": [1, 2],
        "rec.bias_hh_l0": [0.5, 0.25],
        "lin.weight": [[3, 4]],
    }
    sizes = {"input_size": 1, "hidden_size": 2, "output_size": 1, "unit_type": "RNN", "skip": 1}
    (tmp_path / "m.json").write_text(json.dumps({"model_data": sizes, "state_dict": state}))
    rnn = from_rtneural(tmp_path / "m.json")
    assert isinstance(rnn, SimpleRNN) and rnn.skip and rnn.nonlinearity == "tanh"
    np.testing.assert_array_equal(rnn.bh, [1.5, 2.25])
    assert rnn.by == 0 and (rnn.Why == [[3, 4]]).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SimpleRNN(1, 2), "computes as SimpleRNN"),
        (lambda: LeakyRNN(1, 2), "computes as LeakyRNN"),
        (lambda: GRU(1, 2, reset_after=False), "reset_after=False"),
        (lambda: LSTM(1, 2, peepholes=True), "peepholes=True"),
        (lambda: LSTM(1, 2, bidirectional=True), "bidirectional=True"),
        (lambda: LSTM(3, 2, embedding_size=2), "embedding_size=2"),
        (lambda: LSTM(1, 2, learn_initial_state=True), "learn_initial_state=True"),
    ],
)
def test_what_rtneural_has_not(make, words, tmp_path):
    with pytest.raises(ValueError, match=f"RTNeural has no layer .*{words}"):
        make().to_rtneural(tmp_path / "m.json")
    assert not any(tmp_path.iterdir())


def test_outputs_that_are_refused(tmp_path):
    with pytest.raises(ValueError, match="predict_proba is not for a model with loss mse"):
        GRU(1, 2, loss="mse").to_rtneural(tmp_path / "m.json", output="predict_proba")
    with pytest.raises(ValueError, match="output must be one of"):
        GRU(1, 2).to_rtneural(tmp_path / "m.json", output="predict")
    with pytest.raises(ValueError, match="predict_proba is not for a model with skip"):
        GRU(1, 2, skip=True, **EVERY).to_rtneural(tmp_path / "m.json", output="predict_proba")
    model = GRU(1, 2)
    model._flat[0] = np.inf
    with pytest.raises(ValueError, match="Wxh has NaN"):
        model.to_rtneural(tmp_path / "m.json")


def changed(content, place, value):
    """Put a value at a place such as ``layers/0/shape``, or remove what is there."""
    *way, last = [int(part) if part.isdigit() else part for part in place.split("/")]
    for part in way:
        content = content[part]
    if value is None:
        del content[last]
    else:
        content[last] = value


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("layers/0/type", "conv1d", "its layers must be of one type, gru or lstm"),
        ("layers/1/type", "gru", "its layers must be of one type"),
        ("layers/2", None, "its layers must be of one type"),
        ("layers/0/type", None, "there is no layers[0].type"),
        ("layers", {}, "layers must be a list of objects; got {}"),
        ("layers/0/weights/2", None, "layers[0].weights must be a list of 3"),
        ("layers/0/weights/0", [[1, 2]], "layers[0].weights[0] must have shape (1, 12)"),
        ("layers/1/weights/1/0/0", "x", "layers[1].weights[1] must hold real numbers"),
        ("layers/0/weights/2/0", 1e300, "layers[0].weights[2][0] = 1e+300 is too large"),
        ("layers/2/activation", "elu", "layers[2] has the activation 'elu'"),
        ("layers/0/shape", [], "there is no layers[0].shape[-1]"),
        ("in_shape", [None, 0], "in_shape[-1] must be at least 1; got 0"),
        ("in_skip", 3, "in_skip must be 0, or 1 as there are outputs; got 3"),
    ],
)
def test_files_that_are_refused(place, value, words, tmp_path):
    drawn(LSTM(1, 3, loss="mse", num_layers=2)).to_rtneural(tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    changed(content, place, value)
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match=f"m.json: {re.escape(words)}"):
        from_rtneural(tmp_path / "m.json")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("model_data/unit_type", "GatedConvNet", "model_data.unit_type must be one of"),
        ("model_data/hidden_size", None, "there is no model_data.hidden_size"),
        ("model_data/num_layers", 2, "there is no rec.weight_ih_l1"),
        ("state_dict/lin.bias", [1, 2], "lin.bias must have shape (1,); got (2,)"),
        ("state_dict/conv.weight", [1], "state_dict has 'conv.weight', which no model has"),
        ("model_data", [], "model_data must be an object; got []"),
        ("state_dict", None, "neither layers, as of RTNeural, nor a state_dict"),
    ],
)
def test_files_of_guitarml_that_are_refused(place, value, words, tmp_path):
    drawn(GRU(1, 3, loss="mse")).to_rtneural(tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    del content["layers"]
    changed(content, place, value)
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match=f"m.json: {re.escape(words)}"):
        from_rtneural(tmp_path / "m.json")


def test_no_json(tmp_path):
    (tmp_path / "m.json").write_text("[1")
    with pytest.raises(ModelFileError, match="m.json: "):
        from_rtneural(tmp_path / "m.json")
    (tmp_path / "m.json").write_text("[1]")
    with pytest.raises(ModelFileError, match="no object of JSON"):
        from_rtneural(tmp_path / "m.json")
    with pytest.raises(FileNotFoundError):
        from_rtneural(tmp_path / "none.json")
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        from_rtneural(tmp_path / "m.json", dtype=None)
