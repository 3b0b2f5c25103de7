"""The oracle is itself checked: by finite differences, and against PyTorch in float64."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import reference

every_cell = pytest.mark.parametrize("cell", reference.CELLS)


def problem(cell, seed, **fixed):
    """(net, params, sequences, targets, weights, state), small and random."""
    rng = np.random.default_rng(seed)
    loss = reference.LOSSES[seed % len(reference.LOSSES)]
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
            rng.random((*s, O)) if loss in ("bce", "poisson") else 2 * rng.standard_normal((*s, O))
            for s in shapes
        ]
    w = [rng.random(shape) for shape in shapes] if rng.integers(2) else None
    states, R = reference.CELLS[cell].states, net.layers * net.directions
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


@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
def test_everything_matches_pytorch(cell):
    pytest.importorskip("torch")
    import reference_torch

    for seed in range(25):
        case = problem(cell, 100 + seed)
        found, wanted = reference.run(*case), reference_torch.run(*case)
        assert found.loss == pytest.approx(wanted.loss, rel=1e-12)
        for name, gradient in found.gradients.items():
            np.testing.assert_allclose(
                gradient, wanted.gradients[name], rtol=1e-11, atol=1e-13, err_msg=name
            )
        pairs = list(zip(found.outputs, wanted.outputs, strict=True))
        if not case[0].embedding:
            pairs += zip(found.dx, wanted.dx, strict=True)
        if wanted.dstate is not None:
            pairs.append((found.dstate, wanted.dstate))
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


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
