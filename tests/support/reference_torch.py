"""The same as `reference.run` by PyTorch, in float64: its layers and its own gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import reference
import torch


def mean_loss(loss, z, y, w):
    """Weighted mean over sequences, or over all their steps."""
    total, weights = 0.0, 0.0
    F = torch.nn.functional
    functions = {
        "bce": F.binary_cross_entropy_with_logits,
        "mse": F.mse_loss,
        "huber": F.huber_loss,
        "mae": F.l1_loss,
    }
    for k, (zk, yk) in enumerate(zip(z, y, strict=True)):
        target = torch.tensor(yk)
        if loss == "cross_entropy":
            each = F.cross_entropy(zk, target, reduction="none")
        elif loss == "poisson":
            each = F.poisson_nll_loss(zk, target, reduction="none").mean(-1)
        elif loss == "linear":
            each = (zk * target).sum(-1)
        else:
            each = functions[loss](zk, target, reduction="none").mean(-1)
        own = torch.ones_like(each) if w is None else torch.tensor(w[k])
        total, weights = total + (own * each).sum(), weights + own.sum()
    return total / weights


def run(net: Any, params: reference.Params, x, y, w=None, state=None) -> reference.Result:
    """As `reference.run`, for the cells that PyTorch has; no accuracy, no final states."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    H, D, R = net.hidden_size, net.directions, net.layers * net.directions
    kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}.get(net.cell, torch.nn.RNN)
    options = {"nonlinearity": net.cell} if net.cell in ("tanh", "relu") else {}
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
        second = torch.cat([second, p[f"bhn{end}"]]) if net.cell == "gru" else 0 * p[f"bh{end}"]
        weights[f"bias_hh_{theirs}"] = second
    n_states = 2 if net.cell == "lstm" else 1
    zero = torch.zeros((n_states, R, H), dtype=torch.float64)
    z, inputs, states = [], [], []
    for k, xk in enumerate(x):
        if state is not None:
            start = torch.tensor(state[k], requires_grad=True)
            states.append(start)
        else:
            learned = [p[name] for name in ("h0", "c0") if name in p]
            start = torch.stack(learned) if learned else zero
        inner = p["embedding"][torch.tensor(xk)] if net.embedding else torch.tensor(xk)
        if not net.embedding:
            inner.requires_grad_()
            inputs.append(inner)
        given = tuple(part[:, None] for part in start)
        given = given if net.cell == "lstm" else given[0]
        out, last = torch.func.functional_call(layer, weights, (inner[:, None], given))
        last = last[0] if net.cell == "lstm" else last
        top = out[:, 0] if net.sequences else last[-D:, 0].reshape(-1)
        z.append(top @ p["Why"].T + p["by"])
    loss = mean_loss(net.loss, z, y, w)
    loss.backward()

    def gradient(tensor):
        return np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()

    return reference.Result(
        loss=loss.item(),
        accuracy=float("nan"),
        gradients={name: gradient(tensor) for name, tensor in p.items()},
        outputs=[own.detach().numpy() for own in z],
        final=None,
        dstate=np.array([gradient(own) for own in states]) if states else None,
        dx=[gradient(own) for own in inputs],
    )
