"""The oracle is itself checked: by finite differences, and against PyTorch in float64."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import reference

LOSSES = ("bce", "cross_entropy", "mse", "huber", "mae")
every_cell = pytest.mark.parametrize("cell", reference.CELLS)


def problem(cell, seed, **fixed):
    """(net, params, sequences, targets, weights, state), small and random."""
    rng = np.random.default_rng(seed)
    loss = LOSSES[seed % 5]
    axes = dict(
        input_size=int(rng.integers(1, 4)),
        hidden_size=int(rng.integers(1, 4)),
        output_size=int(rng.integers(2, 4)),
        layers=int(rng.integers(1, 3)),
        directions=int(rng.integers(1, 3)),
        sequences=bool(rng.integers(2)),
        embedding=int(rng.integers(2) * 2),
        learned_state=bool(rng.integers(2)),
    )
    net = SimpleNamespace(cell=cell, loss=loss, **{**axes, **fixed})
    lengths, I, O = rng.integers(1, 5, 3), net.input_size, net.output_size
    x = [rng.standard_normal((n, I)) for n in lengths]
    if net.embedding:
        x = [rng.integers(0, I, n) for n in lengths]
    shapes = [(n,) if net.sequences else () for n in lengths]
    if loss == "cross_entropy":
        y = [rng.integers(0, O, shape) for shape in shapes]
    else:
        y = [
            rng.random((*s, O)) if loss == "bce" else 2 * rng.standard_normal((*s, O))
            for s in shapes
        ]
    w = [rng.random(shape) for shape in shapes] if rng.integers(2) else None
    states, R = 1 + cell.startswith("lstm"), net.layers * net.directions
    state = None
    if not net.learned_state:
        state = rng.standard_normal((3, states, R, net.hidden_size))
    return net, reference.random_params(net, rng), x, y, w, state


def slope(function, array, index, step=1e-6):
    kept, value = array[index], {}
    for sign in (-1, 1):
        array[index] = kept + sign * step
        value[sign] = function()
    array[index] = kept
    return (value[1] - value[-1]) / (2 * step)


@every_cell
def test_gradients_match_finite_differences(cell):
    for seed in range(10):
        net, params, x, *_, state = case = problem(cell, seed)
        found = reference.run(*case)
        arrays = [(params[name], found.gradients[name]) for name in params]
        if state is not None:
            arrays.append((state, found.dstate))
        if not net.embedding:
            arrays += zip(x, found.dx, strict=True)
        rng = np.random.default_rng(seed)
        for array, gradient in arrays:
            for _ in range(4):
                index = tuple(rng.integers(0, n) for n in array.shape)
                wanted = slope(lambda case=case: reference.run(*case).loss, array, index)
                assert gradient[index] == pytest.approx(wanted, rel=1e-5, abs=1e-8)


def torch_loss(torch, loss, z, y, w, sequences):
    """Weighted mean over sequences, or over all their steps."""
    total, weights = 0.0, 0.0
    for k, (zk, yk) in enumerate(zip(z, y, strict=True)):
        F = torch.nn.functional
        target = torch.tensor(yk)
        if loss == "cross_entropy":
            each = F.cross_entropy(zk, target, reduction="none")
        else:
            name = {
                "bce": F.binary_cross_entropy_with_logits,
                "mse": F.mse_loss,
                "huber": F.huber_loss,
                "mae": F.l1_loss,
            }[loss]
            each = name(zk, target, reduction="none").mean(-1)
        own = torch.ones_like(each) if w is None else torch.tensor(w[k])
        total, weights = total + (own * each).sum(), weights + own.sum()
    return total / weights


@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
def test_everything_matches_pytorch(cell):
    torch = pytest.importorskip("torch")
    for seed in range(25):
        net, params, x, y, w, state = case = problem(cell, 100 + seed)
        found = reference.run(*case)
        p = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
        H, D, R = net.hidden_size, net.directions, net.layers * net.directions
        kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}.get(cell, torch.nn.RNN)
        options = {"nonlinearity": cell} if cell in ("tanh", "relu") else {}
        size = net.embedding or net.input_size
        layer = kind(size, H, net.layers, bidirectional=D == 2, dtype=torch.float64, **options)
        weights = {}
        for r in range(R):
            end = reference.suffix(r, D)
            theirs = f"l{r // D}{'_reverse' * (r % D)}"
            weights[f"weight_ih_{theirs}"] = p[f"Wxh{end}"]
            weights[f"weight_hh_{theirs}"] = p[f"Whh{end}"]
            weights[f"bias_ih_{theirs}"] = p[f"bh{end}"]
            second = torch.zeros(2 * H, dtype=torch.float64)
            second = torch.cat([second, p[f"bhn{end}"]]) if cell == "gru" else 0 * p[f"bh{end}"]
            weights[f"bias_hh_{theirs}"] = second
        z, inputs, states = [], [], []
        for k, xk in enumerate(x):
            start = (
                torch.tensor(state[k])
                if state is not None
                else torch.stack([p[name] for name in ("h0", "c0") if name in p])
            )
            if state is not None:
                start.requires_grad_()
                states.append(start)
            inner = p["embedding"][torch.tensor(xk)] if net.embedding else torch.tensor(xk)
            if not net.embedding:
                inner.requires_grad_()
                inputs.append(inner)
            given = tuple(part[:, None] for part in start)
            given = given if cell == "lstm" else given[0]
            out, last = torch.func.functional_call(layer, weights, (inner[:, None], given))
            last = last[0] if cell == "lstm" else last
            top = out[:, 0] if net.sequences else last[-D:, 0].reshape(-1)
            z.append(top @ p["Why"].T + p["by"])
            np.testing.assert_allclose(found.outputs[k], z[-1].detach(), rtol=0, atol=1e-13)
        value = torch_loss(torch, net.loss, z, y, w, net.sequences)
        value.backward()
        assert found.loss == pytest.approx(value.item(), rel=1e-12)
        for name, gradient in found.gradients.items():
            wanted = p[name].grad
            wanted = np.zeros(gradient.shape) if wanted is None else wanted.numpy()
            np.testing.assert_allclose(gradient, wanted, rtol=1e-11, atol=1e-13, err_msg=name)
        for got, tensor in [*zip(found.dx, inputs), *zip(found.dstate, states)]:  # noqa: B905
            np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_sgd_as_pytorch_defines_it():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours = {"w": rng.standard_normal(5)}
    theirs = torch.tensor(ours["w"].copy(), requires_grad=True)
    optimizer = torch.optim.SGD([theirs], lr=0.1, momentum=0.9)
    velocity = {"w": np.zeros(5)}
    for _ in range(5):
        gradient = rng.standard_normal(5)
        reference.sgd(ours, {"w": gradient}, velocity, 0.1, 0.9)
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(ours["w"], theirs.detach().numpy(), rtol=1e-14)
