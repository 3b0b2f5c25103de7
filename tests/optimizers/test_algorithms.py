"""Optimizers: PyTorch's of that name, step by step, and how they are chosen."""

from __future__ import annotations

import numpy as np
import pytest
from guarded import copy as guarded_copy

from rnn_fast import GRU, LSTM, SGD, Adagrad, Adam, AdamW, RMSprop, SimpleRNN
from rnn_fast.engine.optimizer_state import Descent
from rnn_fast.layout.batch_records import SUMS
from rnn_fast.layout.descent import DESCENT, Part
from rnn_fast.layout.parameters import parameter_views, penalty_coefficients
from rnn_fast.optimizers import OPTIMIZERS, chosen_optimizer

RATE = 0.005
#: ours, and PyTorch's class and arguments
PAIRS = {
    "sgd": (SGD(), "SGD", {}),
    "sgd decay": (SGD(weight_decay=0.1), "SGD", {"weight_decay": 0.1}),
    "momentum": (SGD(momentum=0.9), "SGD", {"momentum": 0.9}),
    "nesterov": (
        SGD(momentum=0.9, nesterov=True, weight_decay=0.1),
        "SGD",
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "rmsprop": (RMSprop(), "RMSprop", {}),
    "rmsprop all": (
        RMSprop(alpha=0.9, epsilon=1e-4, momentum=0.5, centered=True, weight_decay=0.1),
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-4, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
    ),
    "adam": (Adam(), "Adam", {}),
    "adam all": (
        Adam(beta1=0.7, beta2=0.99, epsilon=1e-3, weight_decay=0.1),
        "Adam",
        {"betas": (0.7, 0.99), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adamw": (AdamW(), "AdamW", {}),
    "adagrad": (Adagrad(), "Adagrad", {}),
    "adagrad all": (
        Adagrad(lr_decay=0.1, epsilon=1e-3, weight_decay=0.1),
        "Adagrad",
        {"lr_decay": 0.1, "eps": 1e-3, "weight_decay": 0.1},
    ),
}
every_pair = pytest.mark.parametrize("pair", PAIRS)


def theirs(torch, pair, parameters):
    _, name, options = PAIRS[pair]
    return getattr(torch.optim, name)(parameters, lr=RATE, **options)


def part(p, g, m, n_rows, n):
    """A vector of n parameters, for the record of an update."""
    arrays = (a.ctypes.data for a in (p, g, m))
    return Part(*arrays, penalties=0, stride=n_rows, n=n, n_gradients=n)


def update(descent, parts, rate):
    """Make one update of some vectors by the compiled program."""
    program, job, _ = descent.update(None)
    schedule, result = np.array([rate]), np.zeros(len(SUMS))
    job[DESCENT.rate], job[DESCENT.result] = schedule.ctypes.data, result.ctypes.data
    job[DESCENT.n_parts] = len(parts)
    for k, each in enumerate(parts):
        start = len(DESCENT) + k * len(each)
        job[start : start + len(each)] = each
    program(job.ctypes.data)


@every_pair
def test_a_hundred_steps_equal_pytorchs(pair):
    torch = pytest.importorskip("torch")
    ours = PAIRS[pair][0]
    for n in (1, 8, 37):
        rng = np.random.default_rng(n)
        p = guarded_copy(rng.standard_normal(n))
        tensor = torch.tensor(p.copy(), requires_grad=True)
        optimizer = theirs(torch, pair, [tensor])
        m = guarded_copy(np.zeros(n * len(ours.state)))
        descent = Descent(ours, n, p.dtype)
        for _ in range(100):
            g = guarded_copy(rng.standard_normal(n) * 10 ** rng.uniform(-3, 1))
            update(descent, [part(p, g, m, n, n)], RATE)
            tensor.grad = torch.tensor(g)
            optimizer.step()
        np.testing.assert_allclose(p, tensor.detach().numpy(), rtol=1e-12, atol=1e-12)


def in_torch(
    torch, model, X, y, pair, batch, epochs, before=lambda parameters: None, penalty=lambda net: 0
):
    """Parameters of PyTorch's copy of `model`, trained as `fit` does without shuffling."""
    net = model.to_torch()
    if "GRU" not in type(model).__name__:  # its second bias is partly ours
        for name, parameter in net.rnn.named_parameters():
            parameter.requires_grad_("bias_hh" not in name)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer, loss = theirs(torch, pair, parameters), torch.nn.MSELoss()
    for _ in range(epochs):
        for start in range(0, len(X), batch):
            xb, yb = (torch.tensor(v[start : start + batch]) for v in (X, y))
            optimizer.zero_grad()
            (loss(net(xb)[:, 0], yb) + penalty(net)).backward()
            before(parameters)
            optimizer.step()
    return net


@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("pair", ["nesterov", "rmsprop all", "adam all", "adamw", "adagrad all"])
def test_fit_equals_pytorch(pair, batch):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4, 3)), rng.standard_normal(20)
    model = SimpleRNN(3, 5, loss="mse", dtype="f8", seed=0)
    net = in_torch(torch, model, X, y, pair, batch, 5)
    settings = {"epochs": 5, "batch_size": batch, "shuffle": False, "learning_rate": RATE}
    model.fit(X, y, optimizer=PAIRS[pair][0], **settings)
    for name, parameter in (("Whh", net.rnn.weight_hh_l0), ("Why", net.head.weight)):
        wanted = parameter.detach().numpy()
        np.testing.assert_allclose(getattr(model, name), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("clip", ["norm", "value"])
def test_clipping_equals_pytorchs(clip):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4, 3)), 5 * rng.standard_normal(20)
    model = LSTM(3, 5, loss="mse", dtype="f8", seed=0)
    limit = {"norm": 1.5, "value": 0.2}[clip]
    function = getattr(
        torch.nn.utils, {"norm": "clip_grad_norm_", "value": "clip_grad_value_"}[clip]
    )
    net = in_torch(torch, model, X, y, "sgd", 7, 5, lambda p: function(p, limit))
    settings = {"epochs": 5, "batch_size": 7, "shuffle": False, "learning_rate": RATE}
    free = LSTM(3, 5, loss="mse", dtype="f8", seed=0)
    free.fit(X, y, **settings)
    model.fit(X, y, **{f"clip_{clip}": limit}, **settings)
    wanted = net.rnn.weight_hh_l0.detach().numpy()
    np.testing.assert_allclose(model.Whh, wanted, rtol=0, atol=1e-12)
    assert np.abs(free.Whh - wanted).max() > 1e-4


@pytest.mark.parametrize("n_others", [0, 1, 2])
def test_the_norm_of_gradients_whose_squares_are_beyond_float32(n_others):
    for n in (3, 40):
        g = guarded_copy(np.linspace(-3e30, 1e30, n).astype("f4"))
        p, m = (guarded_copy(np.zeros(n, "f4")) for _ in range(2))
        norm = np.linalg.norm(g.astype(float))
        wanted = g * (2.0 / norm)
        split = n - n_others
        parts = [part(p, g, m, n, split), part(p[split:], g[split:], m, n, n_others)]
        descent = Descent(SGD(), n, p.dtype, clip_norm=2.0)
        update(descent, parts if n_others else parts[:1], 1.0)
        np.testing.assert_allclose(g, wanted, rtol=1e-6)
        np.testing.assert_array_equal(p, -g)


@pytest.mark.parametrize("batch", [1, 7])
def test_penalties_are_part_of_what_is_minimised(batch):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4, 3)), rng.standard_normal(20)
    model = SimpleRNN(3, 5, loss="mse", dtype="f8", seed=0)
    values = []

    def penalty(net):
        Whh, head = net.rnn.weight_hh_l0, net.head.weight
        value = 0.1 * Whh.abs().sum() + 0.3 * (Whh**2).sum() / 2 + 0.2 * (head**2).sum() / 2
        values.append(value.item())
        return value

    net = in_torch(torch, model, X, y, "momentum", batch, 3, penalty=penalty)
    settings = {"epochs": 3, "batch_size": batch, "shuffle": False, "learning_rate": RATE}
    h = model.fit(
        X,
        y,
        optimizer=PAIRS["momentum"][0],
        l1={"Whh": 0.1},
        l2={"Whh": 0.3, "Why": 0.2},
        **settings,
    )
    np.testing.assert_allclose(model.Whh, net.rnn.weight_hh_l0.detach(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.Why, net.head.weight.detach(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(h.penalty, np.array(values).reshape(3, -1).mean(1), rtol=1e-12)


def test_what_is_penalised():
    net = LSTM(3, 4, num_layers=2, embedding_size=2, dtype="f8")._net
    named = lambda flat: parameter_views(flat, net)  # noqa: E731
    l1, l2 = map(named, np.split(penalty_coefficients(None, 0.5, net), 2))
    for name in l1:
        assert not l1[name].any()
        assert (l2[name] == (0.5 if name[:3] in ("Wxh", "Whh", "Why") else 0)).all(), name
    l1, l2 = map(
        named, np.split(penalty_coefficients({"Whh_l1": 1, "embedding": 2}, {"bh": 3}, net), 2)
    )
    assert (l1["Whh_l1"] == 1).all() and not l1["Whh"].any() and (l1["embedding"] == 2).all()
    assert (l2["bh"] == 3).all() and (l2["bh_l1"] == 3).all() and not l2["by"].any()
    assert (
        penalty_coefficients(None, None, net) is None and penalty_coefficients(0, {}, net) is None
    )
    with pytest.raises(ValueError, match="^l2 names 'W', but the parameters are Wxh, Whh, bh"):
        penalty_coefficients(None, {"W": 1}, net)
    with pytest.raises(ValueError, match=r"^l1\['Whh'\] must be finite and not negative"):
        penalty_coefficients({"Whh": -1}, None, net)
    with pytest.raises(TypeError, match="^l2 must be a real number"):
        penalty_coefficients(None, "all", net)


def test_a_penalty_on_the_embedding_moves_all_of_it():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 6, (20, 4)), rng.standard_normal(20)
    model = SimpleRNN(9, 5, embedding_size=3, loss="mse", dtype="f8", seed=0)
    before = model.embedding.copy()
    model.fit(X, y, epochs=1, batch_size=20, l2={"embedding": 0.5}, learning_rate=0.1)
    np.testing.assert_allclose(model.embedding[6:], before[6:] * 0.95, rtol=1e-14)


def test_an_embedding_under_every_optimizer():
    """Rows out of use move where the optimizer says so; gradients do not pile up."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 6, (20, 4)), rng.standard_normal(20)
    for pair in ("sgd", "sgd decay", "momentum", "adam"):
        model = SimpleRNN(9, 5, embedding_size=3, loss="mse", dtype="f8", seed=0)
        net = in_torch(torch, model, X, y, pair, 7, 4)
        settings = {"epochs": 4, "batch_size": 7, "shuffle": False, "learning_rate": RATE}
        model.fit(X, y, optimizer=PAIRS[pair][0], **settings)
        wanted = net.embedding.weight.detach().numpy()
        np.testing.assert_allclose(model.embedding, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_learns(name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 6, 2))
    y = np.tanh(X.sum((1, 2)))
    model = GRU(2, 8, loss="mse", seed=0)
    before = model.evaluate(X, y)["loss"]
    model.fit(X, y, epochs=20, batch_size=10, optimizer=name, learning_rate=0.02)
    assert model.evaluate(X, y)["loss"] < 0.5 * before


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD(momentum=1), ValueError, r"momentum must be in \[0, 1\)"),
        (lambda: SGD(nesterov=True), ValueError, "nesterov=True needs a momentum"),
        (lambda: Adam(beta2=-1), ValueError, "beta2 must be in"),
        (lambda: Adam(epsilon=0), ValueError, "epsilon must be above 0"),
        (lambda: AdamW(weight_decay="1"), TypeError, "weight_decay must be a real number"),
        (lambda: RMSprop(centered=1), TypeError, "centered must be True or False"),
        (lambda: Adagrad(lr_decay=np.nan), ValueError, "lr_decay must be finite"),
        (lambda: chosen_optimizer("lion"), ValueError, "optimizer must be one of 'sgd', 'rmsprop'"),
        (lambda: chosen_optimizer(SGD), TypeError, "optimizer must be a name or an object"),
        (lambda: chosen_optimizer(None), TypeError, "optimizer must be a name or an object"),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
