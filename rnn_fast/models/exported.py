"""Models written in the formats of others; the formats themselves are in `formats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..formats.pytorch import to_module

if TYPE_CHECKING:
    import torch


class Exported:
    """The part of a model that leaves for other programs."""

    def to_torch(self) -> torch.nn.Module:
        """Return a PyTorch module that computes the logits, with copies of the weights.

        Returns
        -------
        torch.nn.Module
            ``forward(x)`` takes a tensor (N, T, I), or indices (N, T), and returns the values of
            `decision_function`, always with the axis of outputs.  Its submodules are `rnn`
            (batch_first), `head`, and `embedding` or None; learned initial states are its
            parameters `h0` and `c0`.  Our bias becomes the first of PyTorch's two biases, and the
            second starts at zero; if PyTorch trains both, their sum learns twice as fast.

        Raises
        ------
        ValueError
            The model is a LeakyRNN, an LSTM with peepholes or a GRU that resets before the product,
            which PyTorch does not have, or it has a skip.
        ImportError
            PyTorch is not installed.
        """
        return to_module(self)
