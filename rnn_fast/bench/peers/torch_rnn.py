"""PyTorch: its recurrent layers, `nn.Linear`, `BCEWithLogitsLoss` and SGD; or compiled.

These choices measured fastest: time first, the last hidden state from the second output, the fused
optimizer. Denormal numbers are flushed to zero; only PyTorch leaves this to the user. The layers
have two biases, whose sum would learn at twice the rate. The second bias is therefore kept at zero,
except in the last third of a GRU, which is rnn_fast's bhn.

`torch.compile` does not take the recurrent layers, so the compiled form writes its cells out. All
steps, the gradients and the update are one graph. Networks with few cheap steps then take 0.26 to
0.7 of the time. Networks with many steps take minutes to compile: see `COMPILED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from ..problems import LEARNING_RATE, Params, Problem, Runner, weights
from ..rows import Row

torch.set_num_threads(1)
COMPILED = 64  # most steps times gates times layers to compile, which takes half a minute
LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


class Classifier(nn.Module):
    """Recurrent layers, and a linear layer on the last state or on all states.

    Parameters
    ----------
    row : Row
        Sizes and cell of the network.
    params : dict
        Initial values by rnn_fast's names, copied.
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
        """Return `of` of each parameter, by rnn_fast's names."""
        found = {name: of(parameter).numpy() for name, parameter in self.named.items()}
        for name in [name for name in found if name.startswith("second")]:
            found[name.replace("second", "bhn")] = found.pop(name)[2 * self.row.H :]
        return found


def time_first(x: np.ndarray) -> Tensor:
    """Return array x (B, T, ...) as a contiguous tensor (T, B, ...)."""
    return torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1)))


def targets(row: Row, y: np.ndarray) -> Tensor:
    """Return array y in the order of the logits."""
    return time_first(y) if row.sequences else torch.from_numpy(y)


def packed(x: np.ndarray, lengths: np.ndarray) -> PackedSequence:
    """Return the sequences x (B, T, I) packed; PyTorch sorts them by length."""
    return pack_padded_sequence(time_first(x), torch.from_numpy(lengths), enforce_sorted=False)


@contextmanager
def flushed() -> Iterator[None]:
    """Flush denormal numbers to zero inside the block only."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def ways(problem: Problem, quick: bool) -> dict[str, Runner]:
    """Return implementations of an epoch by name; see the package."""
    row = problem.row
    batches = [(time_first(x), targets(row, y)) for x, y in zip(problem.x, problem.y, strict=True)]
    found = {"PyTorch": eager(problem, batches)}
    if not quick and row.T * row.gates * row.layers <= COMPILED:
        found["PyTorch compiled"] = compiled(problem, batches)
    return found


def eager(problem: Problem, batches: list[tuple[Tensor, Tensor]]) -> Runner:
    """Return the usual training loop."""
    model = Classifier(problem.row, problem.params)
    step = training_step(model)

    def run() -> Mapping[str, Any]:
        with flushed():
            for x, y in batches:
                step(x, y)
        return model.ours(Tensor.detach)

    return run


def training_step(model: Classifier) -> Callable[[Any, Tensor], None]:
    """Return a function that updates the model from x, a tensor or packed, and targets."""
    loss = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.named.values(), lr=LEARNING_RATE, fused=True)

    def step(x: Any, y: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(model(x), y).backward()
        optimizer.step()

    return step


def compiled(problem: Problem, batches: list[tuple[Tensor, Tensor]]) -> Runner:
    """Return a loop over a compiled update."""
    row = problem.row

    def update(params: dict[str, Tensor], x: Tensor, y: Tensor) -> dict[str, Tensor]:
        gradients = torch.func.grad(partial(unrolled_loss, row))(params, x, y)
        return {name: p - LEARNING_RATE * gradients[name] for name, p in params.items()}

    step = torch.compile(update, fullgraph=True, dynamic=False)
    params = {name: torch.from_numpy(value.copy()) for name, value in problem.params.items()}

    def run() -> Mapping[str, Any]:
        nonlocal params
        with flushed(), torch.no_grad():
            for x, y in batches:
                params = step(params, x, y)
        return {name: value.numpy() for name, value in params.items()}

    return run


def unrolled_loss(row: Row, params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Return the mean loss of x (T, B, I), with every step written out."""
    for layer in range(row.layers):
        own = weights(params, layer)
        h = c = x.new_zeros(x.shape[1], row.H)
        hs = []
        for ax in x @ own["Wxh"].T + own["bh"]:
            ah = h @ own["Whh"].T
            if row.cell == "rnn":
                h = torch.tanh(ax + ah)
            elif row.cell == "gru":
                (xr, xz, xn), (hr, hz, hn) = ax.chunk(3, -1), ah.chunk(3, -1)
                n = torch.tanh(xn + torch.sigmoid(xr + hr) * (hn + own["bhn"]))
                h = n + torch.sigmoid(xz + hz) * (h - n)
            else:
                i, f, g, o = (ax + ah).chunk(4, -1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            hs.append(h)
        x = torch.stack(hs)
    z = (x if row.sequences else h) @ params["Why"].T + params["by"]
    return nn.functional.binary_cross_entropy_with_logits(z, y)


def streams(row: Row, params: Params, quick: bool) -> dict[str, Callable[..., np.ndarray]]:
    """Return implementations of a call by name; see the package."""
    model = Classifier(row, params).requires_grad_(False)
    found = {"PyTorch": called(model.rnn, model.head, row.T)}
    if row.T == 1:
        cell = CELLS[row.cell](row.I, row.H, dtype=model.head.weight.dtype).requires_grad_(False)
        cell.load_state_dict({k.removesuffix("_l0"): v for k, v in model.rnn.state_dict().items()})
        found["PyTorch cell"] = stepped(cell, model.head)
    return found


def called(rnn: nn.Module, head: nn.Module, T: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a call of the layer with the next T steps."""
    state = None

    def call(x: np.ndarray) -> np.ndarray:
        nonlocal state
        with torch.inference_mode():
            hs, state = rnn(torch.from_numpy(x if T > 1 else x[None]), state)
            logits = head(hs)
        return logits.numpy() if T > 1 else logits[0].numpy()

    return call


def stepped(cell: nn.Module, head: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """Return a call of the cell with the next step."""
    state = None

    def call(x: np.ndarray) -> np.ndarray:
        nonlocal state
        with torch.inference_mode():
            state = cell(torch.from_numpy(x), state)
            return head(state[0] if isinstance(state, tuple) else state).numpy()

    return call


def loss_and_gradients(
    row: Row, params: Params, x: np.ndarray, y: np.ndarray
) -> tuple[float, Params]:
    """Return the mean loss and its gradients."""
    model = Classifier(row, params)
    loss = nn.BCEWithLogitsLoss()(model(time_first(x)), targets(row, y))
    loss.backward()
    return loss.item(), model.ours(lambda parameter: parameter.grad)
