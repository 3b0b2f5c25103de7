"""Both drivers, whole: loss, gradients and updates against the oracle and PyTorch.

Work memory lies between forbidden pages, one behind each buffer, so that an access out of bounds
ends the test run.
"""

import guarded
import numpy as np
import pytest
import reference

from rnn_fast import compute, layout, params

NAMES = ("Wxh", "Whh", "bh", "Why", "by")
LANES = compute._jit.vector_bytes() // 8
ODD = (1, 2, 3, 5, 7, LANES - 1, LANES, LANES + 1, 2 * LANES, 13, 16, 17, 19, 31, 33)


@pytest.fixture(autouse=True)
def guard(monkeypatch):
    def offsets(sizes):
        starts, offsets.work = guarded.offsets(sizes, offsets.dtype)
        return starts, 0

    def aligned(n, dtype):
        return offsets.work

    original = compute.Workspace.__init__

    def init(self, net, sizes):
        offsets.dtype = net.dtype
        original(self, net, sizes)

    monkeypatch.setattr(compute.Workspace, "__init__", init)
    monkeypatch.setattr(compute, "offsets", offsets)
    monkeypatch.setattr(compute, "aligned", aligned)
    monkeypatch.setattr(compute, "_spaces", compute._Spaces())


def case(seed, nonlinearity="tanh", dtype="float64", batch=None):
    """A random network, its parameters, data: odd sizes, every loss."""
    rng = np.random.default_rng(seed)
    I, H, T = (int(rng.choice(ODD)) for _ in range(3))
    B = batch or int(rng.choice([*ODD, 40, 70]))
    loss = layout.LOSSES[seed % 3]
    O = int(rng.integers(2 if loss == "cross_entropy" else 1, 6))
    net = compute.Network(nonlinearity, np.dtype(dtype), I, H, O, loss)
    flat = guarded.array(net.n_parameters, dtype)
    flat[:] = rng.standard_normal(flat.size) / np.sqrt(H + I)  # not saturated: 1 - h**2 cancels
    x = guarded.copy(rng.standard_normal((B, T, I)).astype(dtype))
    if loss == "cross_entropy":
        y = rng.integers(0, O, (B, 1))
    else:
        y = rng.random((B, O)) if loss == "bce" else rng.standard_normal((B, O))
    return net, flat, x, guarded.copy(y.astype(dtype))


def named(net, flat):
    return params.views(flat, net.input_size, net.hidden_size, net.output_size)


def expected(net, flat, x, y):
    views = {k: v.astype(float) for k, v in named(net, flat).items()}
    y = y[:, 0].astype(int) if net.loss == "cross_entropy" else y.astype(float)
    return reference.loss_and_gradients(views, x.astype(float), y, net.nonlinearity, net.loss)


def assert_close(net, gradients, wanted, tolerance):
    """Relative to the largest gradient in the matrix [Wxh | bh | Whh] or [by | Why].

    A bias of one unit is a single sum of all samples and steps, and can cancel to nothing.
    """
    largest = {name: np.abs(value).max() for name, value in wanted.items()}
    for name, gradient in named(net, gradients).items():
        matrix = ("Why", "by") if name in ("Why", "by") else ("Wxh", "Whh", "bh")
        scale = max(max(largest[part] for part in matrix), 1e-30)
        error = np.abs(gradient - wanted[name]).max() / scale
        assert error <= tolerance, f"{name}: {error:.1e} of {scale:.1e}, {net}"


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_gradients_equal_the_oracle_200_configurations(nonlinearity):
    for seed in range(100):
        net, flat, x, y = case(seed, nonlinearity)
        gradients = guarded.array(flat.size, flat.dtype)
        loss = compute.loss_and_gradients(net, x, y, flat, gradients)
        wanted_loss, wanted = expected(net, flat, x, y)
        assert loss == pytest.approx(wanted_loss, rel=1e-12)
        assert_close(net, gradients, wanted, 1e-12)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_gradients_equal_pytorch(nonlinearity):
    torch = pytest.importorskip("torch")
    for seed in range(20):
        net, flat, x, y = case(seed + 500, nonlinearity)
        I, H, O = net.input_size, net.hidden_size, net.output_size
        rnn = torch.nn.RNN(I, H, nonlinearity=nonlinearity, batch_first=True).double()
        head = torch.nn.Linear(H, O).double()
        views = {k: torch.tensor(v) for k, v in named(net, flat).items()}
        with torch.no_grad():
            rnn.weight_ih_l0.copy_(views["Wxh"])
            rnn.weight_hh_l0.copy_(views["Whh"])
            rnn.bias_ih_l0.copy_(views["bh"])
            rnn.bias_hh_l0.zero_()
            head.weight.copy_(views["Why"])
            head.bias.copy_(views["by"])
        logits = head(rnn(torch.tensor(x))[0][:, -1])
        target = torch.tensor(y)
        if net.loss == "bce":
            value = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        elif net.loss == "cross_entropy":
            value = torch.nn.functional.cross_entropy(logits, target[:, 0].long())
        else:
            value = torch.nn.functional.mse_loss(logits, target)
        value.backward()
        wanted = dict(
            Wxh=rnn.weight_ih_l0, Whh=rnn.weight_hh_l0, bh=rnn.bias_ih_l0,
            Why=head.weight, by=head.bias,
        )  # fmt: skip
        gradients = guarded.array(flat.size, flat.dtype)
        loss = compute.loss_and_gradients(net, x, y, flat, gradients)
        assert loss == pytest.approx(value.item(), rel=1e-12)
        assert_close(net, gradients, {k: v.grad.numpy() for k, v in wanted.items()}, 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_an_update_with_units_in_lanes(dtype, batch):
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    for seed in range(30):
        net, flat, x, y = case(seed, dtype=dtype, batch=batch)
        before, velocity = flat.copy(), guarded.array(flat.size, dtype)
        epoch = compute.train_epoch(net, x, y, np.arange(batch), batch, flat, velocity, 1.0, 0.5)
        loss, wanted = expected(net, before, x, y)
        assert epoch.loss == pytest.approx(loss, rel=tolerance)
        assert_close(net, velocity, wanted, tolerance)
        np.testing.assert_allclose(flat, before - velocity, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float32_and_float64_agree_with_the_oracle_for_mini_batches(dtype):
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    for seed in range(30):
        net, flat, x, y = case(seed, dtype=dtype)
        gradients = guarded.array(flat.size, dtype)
        loss = compute.loss_and_gradients(net, x, y, flat, gradients)
        wanted_loss, wanted = expected(net, flat, x, y)
        assert loss == pytest.approx(wanted_loss, rel=tolerance)
        assert_close(net, gradients, wanted, tolerance)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 16, 50])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_an_epoch_is_descent_batch_by_batch(batch_size, momentum):
    """Order, a short last batch, momentum: against the oracle's epoch."""
    net, flat, x, y = case(3, batch=37)
    rng = np.random.default_rng(0)
    order = guarded.copy(rng.permutation(37))
    wanted = flat.copy()
    state = {k: np.zeros(v.shape) for k, v in named(net, wanted).items()}
    total = 0.0
    for first in range(0, 37, batch_size):
        batch = order[first : first + batch_size]
        loss, gradients = expected(net, wanted, x[batch], y[batch])
        reference.sgd(named(net, wanted), gradients, state, 0.05, momentum)
        total += loss * len(batch)
    velocity = guarded.array(flat.size, flat.dtype)
    epoch = compute.train_epoch(net, x, y, order, batch_size, flat, velocity, 0.05, momentum)
    assert epoch.finite
    assert epoch.loss == pytest.approx(total / 37, rel=1e-12)
    np.testing.assert_allclose(flat, wanted, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sample_has_the_same_logits_alone_and_in_any_company(dtype):
    net, flat, x, _ = case(1, dtype=dtype, batch=53)
    together = compute.logits(net, x, flat)
    for i in (0, 1, 15, 16, 52):
        np.testing.assert_array_equal(
            compute.logits(net, x[i : i + 1].copy(), flat)[0], together[i]
        )
    np.testing.assert_array_equal(compute.logits(net, x[10:30].copy(), flat), together[10:30])


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_a_loss_that_is_not_finite_ends_the_epoch(batch_size):
    net, flat, x, y = case(0, dtype="float32", batch=40)
    x[20] = np.nan
    velocity = guarded.array(flat.size, flat.dtype)
    epoch = compute.train_epoch(net, x, y, np.arange(40), batch_size, flat, velocity, 0.01, 0.0)
    assert not epoch.finite
    assert np.isfinite(flat).all()


@pytest.mark.parametrize("batch_size", [1, 16])
def test_equal_input_gives_equal_bits(batch_size):
    results = []
    for _ in range(2):
        net, flat, x, y = case(2, dtype="float32", batch=40)
        velocity = guarded.array(flat.size, flat.dtype)
        compute.train_epoch(net, x, y, np.arange(40), batch_size, flat, velocity, 0.01, 0.9)
        results.append(flat.copy())
    np.testing.assert_array_equal(*results)


def test_online_steps_equal_an_epoch_of_batches_of_one():
    net, flat, x, y = case(6, dtype="float32", batch=9)
    stepped, velocity = flat.copy(), guarded.array(flat.size, flat.dtype)
    compute.train_epoch(net, x, y, np.arange(9), 1, flat, velocity, 0.1, 0.0)
    online = compute.OnlineStep(net, stepped, x.shape[1])
    for sequence, target in zip(x, y, strict=True):
        online.x[...], online.y[...] = sequence, target
        assert online.forward()
        online.backward(0.1)
    np.testing.assert_allclose(stepped, flat, rtol=1e-5, atol=1e-6)
