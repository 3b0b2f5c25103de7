"""PyTorch, eager: `nn.RNN`, `nn.Linear`, `BCEWithLogitsLoss` and SGD, on one thread.

The choices were measured: time first, the last hidden state taken from the second output, the
fused optimizer. `nn.RNN` has two biases, which would make the sum of both learn at twice the
rate; the second is kept at zero and asks for no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import Params, Runner

torch.set_num_threads(1)


class Classifier(nn.Module):
    """A recurrent layer and a linear one on its last state, with our parameters.

    Parameters
    ----------
    params : dict
        Initial values by name, copied.
    """

    def __init__(self, params: Params) -> None:
        super().__init__()
        (H, I), O = params["Wxh"].shape, len(params["by"])
        dtype = torch.from_numpy(params["Wxh"]).dtype
        self.rnn = nn.RNN(I, H, dtype=dtype)
        self.head = nn.Linear(H, O, dtype=dtype)
        self.by_name = {
            "Wxh": self.rnn.weight_ih_l0,
            "Whh": self.rnn.weight_hh_l0,
            "bh": self.rnn.bias_ih_l0,
            "Why": self.head.weight,
            "by": self.head.bias,
        }
        with torch.no_grad():
            self.rnn.bias_hh_l0.zero_()
            for name, parameter in self.by_name.items():
                parameter.copy_(torch.from_numpy(params[name]))
        self.rnn.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, O) of the sequences x (T, B, I)."""
        _, h = self.rnn(x)
        return self.head(h[0])


def time_first(x: np.ndarray) -> Tensor:
    """Return x (B, T, I) as a contiguous tensor (T, B, I)."""
    return torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1)))


def step_runners(
    params: Params, x: np.ndarray, y: np.ndarray, learning_rate: float
) -> dict[str, Runner]:
    """Return the usual training loop over mini-batches; see the package."""
    batches = [(time_first(xb), torch.from_numpy(yb)) for xb, yb in zip(x, y, strict=True)]
    model = Classifier(params)
    loss = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.by_name.values(), lr=learning_rate, fused=True)

    def run() -> Mapping[str, Any]:
        for xb, yb in batches:
            optimizer.zero_grad(set_to_none=True)
            loss(model(xb), yb).backward()
            optimizer.step()
        return {name: parameter.detach() for name, parameter in model.by_name.items()}

    return {"PyTorch": run}


def tutorial_runners(
    params: Params, x: np.ndarray, y: np.ndarray, learning_rate: float
) -> dict[str, Runner]:
    """Return the same loop over batches of one sample; see the package."""
    return step_runners(params, x[:, None], y[:, None], learning_rate)


def loss_and_gradients(params: Params, x: np.ndarray, y: np.ndarray) -> tuple[float, Params]:
    """Return the mean loss and its gradients."""
    model = Classifier(params)
    loss = nn.BCEWithLogitsLoss()(model(time_first(x)), torch.from_numpy(y))
    loss.backward()
    return loss.item(), {name: p.grad.numpy() for name, p in model.by_name.items()}
