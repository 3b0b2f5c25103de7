"""A PyTorch module of the layers that a model corresponds to.  This file imports PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

STATES = ("h0", "c0")  #: names of learned initial states


class TorchNetwork(torch.nn.Module):
    """An embedding or None, a recurrent layer and a linear layer.

    Parameters
    ----------
    rnn : torch.nn.RNN, GRU or LSTM
    head : torch.nn.Linear
    embedding : torch.nn.Embedding or None
    return_sequences : bool
        True with an output after every step.
    initial : sequence of torch.nn.Parameter, (layers * directions, H)
        Learned initial states: none, h0, or h0 and c0.
    """

    def __init__(
        self,
        rnn: Any,
        head: Any,
        embedding: Any = None,
        return_sequences: bool = False,
        initial: Sequence[Any] = (),
    ) -> None:
        super().__init__()
        self.rnn, self.head, self.embedding = rnn, head, embedding
        self.return_sequences = return_sequences
        for name, state in zip(STATES, initial, strict=False):
            setattr(self, name, state)

    @property
    def initial(self) -> list[Any]:
        """Learned initial states, (layers * directions, H) each."""
        return [getattr(self, name) for name in STATES if hasattr(self, name)]

    def forward(self, x: Any) -> Any:
        """Return the logits of sequences (N, T, I), or of indices (N, T)."""
        rnn, state = self.rnn, None
        if self.initial:
            parts = [part[:, None].expand(-1, len(x), -1).contiguous() for part in self.initial]
            state = parts[0] if len(parts) == 1 else tuple(parts)
        x = x if self.embedding is None else self.embedding(x)
        y, last = rnn(x if rnn.batch_first else x.transpose(0, 1), state)
        if self.return_sequences:
            return self.head(y if rnn.batch_first else y.transpose(0, 1))
        last = last[0] if isinstance(last, tuple) else last
        D = 1 + rnn.bidirectional
        return self.head(last[-D:].transpose(0, 1).reshape(len(x), D * rnn.hidden_size))


def check_forward(module: Any, network: TorchNetwork) -> None:
    """Compare a module with a network of its layers, on random sequences and without dropout.

    Raises
    ------
    ValueError
        The module computes something else, has other parameters, or drops out elsewhere.
    """
    why = _addition(module, network)
    if why is None:
        modes = [(part, part.training) for part in module.modules()]
        module.eval()
        try:
            why = _difference(module, network)
        finally:
            for part, mode in modes:
                part.training = mode
    if why is not None:
        raise ValueError(
            f"module: {type(module).__name__} does more than its {type(network.rnn).__name__} and "
            f"Linear layers: {why}. To take over the layers alone, pass them: "
            "from_torch(layer, head, embedding)"
        )


def _addition(module: Any, network: TorchNetwork) -> str | None:
    """Say which part of a module a network of its layers does not have, or None."""
    known = {id(parameter) for parameter in network.parameters()}
    for name, parameter in module.named_parameters():
        if id(parameter) not in known:
            return f"it has the parameter {name}"
    for name, part in module.named_modules():
        if isinstance(part, (torch.nn.Dropout, torch.nn.Dropout1d)) and part.p > 0:
            return f"{name} drops out"
    return None


def _difference(module: Any, network: TorchNetwork) -> str | None:
    """Say how the results of a module and of a network of its layers differ, or None."""
    rnn, embedding, draws = network.rnn, network.embedding, np.random.default_rng(0)
    N, T = 3, 5
    if embedding is None:
        x = torch.from_numpy(draws.standard_normal((N, T, rnn.input_size))).to(rnn.weight_ih_l0)
    else:
        indices = draws.integers(0, embedding.num_embeddings, (N, T))
        x = torch.from_numpy(indices).to(embedding.weight.device)
    with torch.no_grad():
        expected = network(x)
        try:
            found = module(x if rnn.batch_first else x.transpose(0, 1))
        except Exception as error:  # of any code that forward may have
            return f"its forward fails for a tensor of shape {tuple(x.shape)} ({error!s:.200})"
    found = found[0] if isinstance(found, tuple) and found else found
    if not isinstance(found, torch.Tensor):
        return f"its forward returns {type(found).__name__}"
    if network.return_sequences and not rnn.batch_first and found.shape[:2] == (T, N):
        found = found.transpose(0, 1)
    if found.shape not in (expected.shape, expected.shape[:-1]):
        return f"its forward returns {tuple(found.shape)} where they give {tuple(expected.shape)}"
    found = found.reshape(expected.shape).to(expected)
    if not torch.allclose(found, expected, rtol=1e-4, atol=1e-5):
        return f"its forward differs from theirs by {float((found - expected).abs().max()):.2g}"
    return None
