"""Headers in C: the outputs of the textbook, for all cells, and what no C compiler may complain of.

Nothing here is compiled by Numba but in the sweep.
"""

from __future__ import annotations

import ctypes
import re
import subprocess

import in_c
import numpy as np
import pytest
import reference

from rnn_fast import GRU, LSTM, LeakyRNN, Recurrent, SimpleRNN, Stack
from rnn_fast.cells import Row, declare, tanh
from rnn_fast.cells.specs import CELLS
from rnn_fast.losses import LOSSES, functions

HAS_C = pytest.mark.skipif(in_c.compiler() is None, reason="there is no C compiler")
TOLERANCE = {np.dtype("f4"): 1e-6, np.dtype("f8"): 1e-14}
#: relative to the largest number: sums of many products
ROUNDING = {np.dtype("f4"): 2e-6, np.dtype("f8"): 1e-14}
#: the cells of the package, not those that other tests have declared or registered
OURS = [
    name for name, cell in CELLS.items() if cell.kernels.startswith("rnn_fast.") and not cell.maths
]
#: by name: the model, and the method whose results are its outputs
MODELS = {
    "relu": (
        lambda: SimpleRNN(3, 3, 2, nonlinearity="relu", loss="mse", num_layers=2, **EVERY),
        "",
    ),
    "skip": (lambda: SimpleRNN(2, 1, loss="mae", skip=True, dtype="f8", **EVERY), ""),
    "after": (lambda: GRU(7, 6, 4, loss="cross_entropy", embedding_size=3), "predict_proba"),
    "class": (lambda: GRU(2, 16, 3, loss="cross_entropy", num_layers=3), "predict"),
    "before": (
        lambda: GRU(2, 5, reset_after=False, learn_initial_state=True, dtype="f8"),
        "predict_proba",
    ),
    "amp": (lambda: LSTM(1, 16, loss="mse"), ""),
    "wide": (lambda: LSTM(2, 40, 2, loss="bce", dtype="f8"), "predict"),
    "peephole": (
        lambda: LSTM(3, 9, 2, peepholes=True, loss="gaussian", learn_initial_state=True),
        "predict_distribution",
    ),
    "mean": (lambda: LSTM(3, 4, 2, peepholes=True, loss="gaussian", dtype="f8"), "predict"),
    "membrane": (lambda: LeakyRNN(2, 7, form="membrane", learn_alpha=True, loss="quantile"), ""),
    "rate": (lambda: LeakyRNN(2, 8, 3, nonlinearity="relu", loss="poisson", dtype="f8"), "predict"),
    "stack": (lambda: Stack("gru", 2, 11, num_layers=2, dtype="f8"), None),
    "states": (lambda: Stack("rate_learned_tanh", 4, 2, embedding_size=2), None),
    **{f"cell_{cell}": (lambda cell=cell: Stack(cell, 2, 5), None) for cell in OURS},
}
EVERY = {"return_sequences": True}


def drawn(make, seed=0):
    """A model with random parameters, biases and states too."""
    model, rng = make(), np.random.default_rng(seed)
    for view in model.parameters.values():
        width = view.shape[-1] if view.ndim > 1 else 10
        view[...] = rng.standard_normal(view.shape) / np.sqrt(width)
    return model


def steps_of(model, T=12, seed=1):
    rng = np.random.default_rng(seed)
    if model._net.embedding:
        return rng.integers(0, model._net.input_size, T)
    return rng.standard_normal((T, model._net.input_size)).astype(model.dtype)


def textbook(model, x):
    """Logits of steps, or the top layer's states, in float64."""
    net, p = model._net, {k: np.float64(v) for k, v in model.parameters.items()}
    cell = reference.CELLS[net.cell]
    rows = p["embedding"][x] if net.embedding else np.float64(x)
    first = rows
    for k in range(net.layers):
        end = f"_l{k}" if k else ""
        own = {name: p[name + end] for name in ("Wxh", "Whh", "bh", *cell.names) if name + end in p}
        h, c = (p[s][k] if s in p else np.zeros(net.hidden_size) for s in ("h0", "c0"))
        out = []
        for row in rows:
            h, c, _ = cell.forward(net.cell, own, row, h, c)
            out.append(h)
        rows = np.array(out)
    if not net.output_size:
        return rows
    logits = rows @ p["Why"].T + p["by"]
    return logits + first[:, : net.output_size] if net.skip else logits


def outputs(model, method, logits):
    """What a method makes of logits (T, O), as numbers (T, n)."""
    loss = LOSSES[model.loss]
    form = {
        "": functions.identity,
        "predict": loss.predict,
        "predict_proba": loss.activation,
        "predict_distribution": loss.activation,
    }[method]
    return np.float64(form(logits.reshape(len(logits), *model._net.output_form))).reshape(
        len(logits), -1
    )


@pytest.fixture(scope="module")
def headers(tmp_path_factory):
    """The models, and the C file that runs them all."""
    models = {name: drawn(make) for name, (make, _) in MODELS.items()}
    methods = {
        name: method or "decision_function"
        for name, (_, method) in MODELS.items()
        if method is not None
    }
    return models, in_c.source(tmp_path_factory.mktemp("c"), models, methods)


@pytest.fixture(scope="module")
def library(headers):
    return in_c.compiled(headers[1], "-O1")


@HAS_C
@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_the_textbooks(name, headers, library):
    model, method = headers[0][name], MODELS[name][1]
    x = steps_of(model)
    wanted = textbook(model, x)
    wanted = wanted if method is None else outputs(model, method, wanted)
    for _ in range(2):  # a state begins anew
        found = in_c.run(library, name, model, x, wanted.shape[1])
        bound = ROUNDING[model.dtype] * max(1, np.abs(wanted).max())
        np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)


#: C function to the same in NumPy, and its largest error in units in the last place
MATHS = {"tanh": (np.tanh, 2.6), "sigmoid": (reference.sigmoid, 2.2), "exp": (np.exp, 1.6)}


@HAS_C
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_accuracy_of_the_functions(dtype, tmp_path):
    """Units in the last place, over the range in which no function nears the denormal numbers."""
    LSTM(1, 1, loss="poisson", dtype=dtype).to_c(tmp_path / "m.h", output="predict")
    real = {"f4": "float", "f8": "double"}[dtype]
    loop = "{{ for (int i = 0; i < n; i++) y[i] = m_{0}(x[i]); }}"
    text = "".join(
        f"void all_{name}(const {real} *x, {real} *y, int n) {loop.format(name)}\n"
        for name in MATHS
    )
    (tmp_path / "maths.c").write_text(f'#include "m.h"\n{text}')
    library = in_c.compiled(tmp_path / "maths.c", "-O2")
    rng = np.random.default_rng(0)
    size = 10 ** rng.uniform(-6, np.log10({"f4": 80, "f8": 700}[dtype]), 200_000)
    x = np.ascontiguousarray(size * rng.choice([-1, 1], size.size), dtype)
    for name, (function, most) in MATHS.items():
        y = np.empty_like(x)
        library[f"all_{name}"](x.ctypes, y.ctypes, ctypes.c_int(x.size))
        wanted = function(x.astype(np.longdouble))
        error = np.abs(y - wanted) / np.spacing(np.abs(wanted).astype(dtype))
        assert error.max() <= most, (name, float(error.max()))
    ends = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf], dtype)
    for name, wanted in (("tanh", [-1, -1, 0, 0, 1, 1]), ("sigmoid", [0, 0, 0.5, 0.5, 1, 1])):
        y = np.empty_like(ends)
        library[f"all_{name}"](ends.ctypes, y.ctypes, ctypes.c_int(ends.size))
        np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-37)


@pytest.mark.skipif(in_c.compiler("c++") is None, reason="there is no C++ compiler")
def test_headers_are_cplusplus(headers):
    command = [in_c.compiler("c++"), *in_c.CXX11, "-fsyntax-only", str(headers[1])]
    subprocess.run(command, check=True)


@HAS_C
def test_y_may_be_x(headers, tmp_path):
    models = {"skip": drawn(lambda: SimpleRNN(2, 5, 2, loss="mse", skip=True, **EVERY))}
    library = in_c.compiled(in_c.source(tmp_path, models, {}))
    x = steps_of(models["skip"])
    wanted = in_c.run(library, "skip", models["skip"], x, 2)
    library["skip_run"](x.ctypes, x.ctypes, ctypes.c_int(len(x)))
    np.testing.assert_array_equal(x, wanted)


def test_numbers_read_back_the_same(tmp_path):
    """The shortest text of each number, in its dtype."""
    for dtype in ("f4", "f8"):
        model = drawn(lambda dtype=dtype: LSTM(1, 5, dtype=dtype))
        model.Why[0, :3] = 1e-40 if dtype == "f4" else 5e-324, -0.0, 3.0
        model.to_c(tmp_path / "m.h")
        text = (tmp_path / "m.h").read_text()
        body = re.search(r"m_wy\[8\] = {([^}]*)}", text)[1].replace("f", "").split(",")
        np.testing.assert_array_equal(np.array(body[:5], dtype), model.Why[0])


def test_the_name(tmp_path):
    model = GRU(1, 2)
    model.to_c(tmp_path / "amp.v2.h", name="_Amp2")
    assert "_Amp2_step(" in (tmp_path / "amp.v2.h").read_text()
    for name, error in (
        ("2amp", ValueError),
        ("my amp", ValueError),
        ("ä", ValueError),
        (3, TypeError),
    ):
        with pytest.raises(error, match="name must be"):
            model.to_c(tmp_path / "other.h", name=name)
    with pytest.raises(ValueError, match="name must be an identifier in C; got 'my-amp'"):
        model.to_c(tmp_path / "my-amp.h")
    assert [file.name for file in tmp_path.iterdir()] == ["amp.v2.h"]


@pytest.mark.parametrize(
    ("make", "output", "words"),
    [
        (lambda: GRU(1, 2, bidirectional=True), "predict", "bidirectional"),
        (lambda: GRU(1, 2, loss="mse"), "predict_proba", "predict_proba is not for .* loss mse"),
        (lambda: GRU(1, 2), "predict_distribution", "not for a model with loss bce"),
        (lambda: GRU(1, 2), "logits", "output must be one of 'predict'"),
    ],
)
def test_what_c_has_not(make, output, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        make().to_c(tmp_path / "m.h", output=output)
    assert not any(tmp_path.iterdir())


def test_numbers_that_are_not_finite(tmp_path):
    model = GRU(1, 2)
    model._flat[-1] = np.nan
    with pytest.raises(ValueError, match="Why has NaN"):
        model.to_c(tmp_path / "m.h")


def test_a_declared_cell(tmp_path, cells_as_before):
    cell = declare(
        "plain",
        forward=lambda point: (point.a, tanh(point.a[0])),
        backward=lambda point, slopes: (slopes.dh * (1 - point.h * point.h),),
        gates=("a",),
        rows=(Row("a", "a"),),
        keeps_rows=False,
    )
    for model in (Recurrent(1, 2, cell=cell), Stack(cell.name, 1, 2)):
        with pytest.raises(ValueError, match="the cell 'plain' is not written in C"):
            model.to_c(tmp_path / "m.h")


# ------------------------------------------------------------------------------------------ sweep


def random_model(seed):
    """A model with random options, and a method that streams have."""
    rng = np.random.default_rng(seed)
    kind = (SimpleRNN, LeakyRNN, GRU, LSTM)[seed % 4]
    own = {
        SimpleRNN: {"nonlinearity": rng.choice(["tanh", "relu"])},
        LeakyRNN: {
            "nonlinearity": rng.choice(["tanh", "relu"]),
            "form": rng.choice(["rate", "membrane"]),
            "learn_alpha": bool(rng.integers(2)),
            "alpha": rng.uniform(0.1, 0.9),
        },
        GRU: {"reset_after": bool(rng.integers(2))},
        LSTM: {"peepholes": bool(rng.integers(2))},
    }[kind]
    own = {name: str(value) if isinstance(value, str) else value for name, value in own.items()}
    loss = str(rng.choice(["mse", "bce", "cross_entropy", "poisson", "quantile", "gaussian"]))
    I, O = int(rng.integers(2, 6)), int(rng.integers(2, 4))
    skip = loss in ("mse", "bce") and I >= O and rng.integers(2) > 0
    model = kind(
        I,
        int(rng.integers(1, 41)),
        O,
        loss=loss,
        num_layers=int(rng.integers(1, 4)),
        learn_initial_state=bool(rng.integers(2)),
        embedding_size=None if skip or rng.integers(2) else int(rng.integers(1, 5)),
        skip=bool(skip),
        return_sequences=True,
        dtype=str(rng.choice(["f4", "f8"])),
        **own,
    )
    for name, view in model.parameters.items():
        if name.partition("_")[0] in ("bh", "by", "h0", "c0", "bhn", "peephole"):
            view[...] = 0.3 * rng.standard_normal(view.shape)
    methods = ["decision_function", "predict"]
    if LOSSES[loss].classifies:
        methods.append("predict_proba")
    return model, str(rng.choice(methods))


@HAS_C
@pytest.mark.sweep
@pytest.mark.all_tiles
@pytest.mark.parametrize("options", [("-O2",), ("-O3", "-march=native")])
def test_random_models_as_their_streams(options, tmp_path):
    """200 models within 1e-6 and 1e-14 of the largest output or 1."""
    made = {f"m{seed}": random_model(seed) for seed in range(200)}
    models = {name: model for name, (model, _) in made.items()}
    methods = {name: method for name, (_, method) in made.items()}
    library = in_c.compiled(in_c.source(tmp_path, models, methods), *options)
    worst = {np.dtype("f4"): 0.0, np.dtype("f8"): 0.0}
    for name, (model, method) in made.items():
        x = steps_of(model, 30)
        wanted = model.stream(output=method).run(x)
        found = in_c.run(library, name, model, x, wanted.shape[1])
        error = np.abs(found - wanted).max() / max(1, np.abs(wanted).max())
        worst[model.dtype] = max(worst[model.dtype], error)
        assert error <= TOLERANCE[model.dtype], (name, model, method)
    print("largest errors:", worst)
