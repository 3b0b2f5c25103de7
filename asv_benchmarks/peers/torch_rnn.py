"""PyTorch, eager: its recurrent layers, `nn.Linear`, `BCEWithLogitsLoss` and SGD, on one thread.

The choices were measured: time first, the last hidden state taken from the second output, the
fused optimizer. The layers have two biases, which would make the sum of both learn at twice the
rate; the second is kept at zero, but for the GRU's last third, our bhn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import Params, Runner
from .problems import Row, weights

torch.set_num_threads(1)
LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Classifier(nn.Module):
    """Recurrent layers and a linear one on the last state or on all, with our parameters.

    Parameters
    ----------
    row : Row
    params : dict
        Initial values by name, copied.
    """

    def __init__(self, row: Row, params: Params) -> None:
        super().__init__()
        self.row, H = row, row.H
        dtype = torch.from_numpy(params["Wxh"]).dtype
        self.rnn = LAYERS[row.cell](row.I, H, row.layers, dtype=dtype)
        self.head = nn.Linear(H, 1, dtype=dtype)
        self.named = {"Why": self.head.weight, "by": self.head.bias}
        with torch.no_grad():
            for layer in range(row.layers):
                end, below = (f"_l{layer}" if layer else ""), f"_l{layer}"
                for ours, theirs in (("Wxh", "weight_ih"), ("Whh", "weight_hh"), ("bh", "bias_ih")):
                    self.named[ours + end] = getattr(self.rnn, theirs + below)
                second = getattr(self.rnn, f"bias_hh{below}")
                second.zero_()
                if row.cell == "gru":
                    second[2 * H :] = torch.from_numpy(weights(params, layer)["bhn"])
                    self.named["second" + end] = second
                else:
                    second.requires_grad_(False)
            for name, parameter in self.named.items():
                if name in params:
                    parameter.copy_(torch.from_numpy(params[name]))
        if row.cell == "gru":
            trained = torch.cat([torch.zeros(2 * H, dtype=dtype), torch.ones(H, dtype=dtype)])
            for name, parameter in self.named.items():
                if name.startswith("second"):
                    parameter.register_hook(trained.mul)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, 1) or (T, B, 1) of the sequences x (T, B, I)."""
        every, state = self.rnn(x)
        h = state[0] if self.row.cell == "lstm" else state
        return self.head(every if self.row.sequences else h[-1])

    def ours(self, of: Any) -> dict[str, np.ndarray]:
        """Return what `of` gives for each parameter, by our names."""
        found = {name: of(parameter).numpy() for name, parameter in self.named.items()}
        for name in [name for name in found if name.startswith("second")]:
            found[name.replace("second", "bhn")] = found.pop(name)[2 * self.row.H :]
        return found


def time_first(x: np.ndarray) -> Tensor:
    """Return x (B, T, ...) as a contiguous tensor (T, B, ...)."""
    return torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1)))


def targets(row: Row, y: np.ndarray) -> Tensor:
    """Return y in the order of the logits."""
    return time_first(y) if row.sequences else torch.from_numpy(y)


def step_runners(
    row: Row, params: Params, x: np.ndarray, y: np.ndarray, learning_rate: float
) -> dict[str, Runner]:
    """Return the usual training loop over mini-batches; see the package."""
    batches = [(time_first(xb), targets(row, yb)) for xb, yb in zip(x, y, strict=True)]
    model = Classifier(row, params)
    loss = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.named.values(), lr=learning_rate, fused=True)

    def run() -> Mapping[str, Any]:
        for xb, yb in batches:
            optimizer.zero_grad(set_to_none=True)
            loss(model(xb), yb).backward()
            optimizer.step()
        return model.ours(Tensor.detach)

    return {"PyTorch": run}


def tutorial_runners(
    row: Row, params: Params, x: np.ndarray, y: np.ndarray, learning_rate: float
) -> dict[str, Runner]:
    """Return the same loop over batches of one sample; see the package."""
    return step_runners(row, params, x[:, None], y[:, None], learning_rate)


def loss_and_gradients(
    row: Row, params: Params, x: np.ndarray, y: np.ndarray
) -> tuple[float, Params]:
    """Return the mean loss and its gradients."""
    model = Classifier(row, params)
    loss = nn.BCEWithLogitsLoss()(model(time_first(x)), targets(row, y))
    loss.backward()
    return loss.item(), model.ours(lambda parameter: parameter.grad)
