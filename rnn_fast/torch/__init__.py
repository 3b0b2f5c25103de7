"""Recurrent layers for PyTorch on the CPU: `torch.nn`'s RNN, GRU and LSTM, computed by rnn_fast.

They need PyTorch, which ``pip install 'rnn_fast[torch]'`` brings.
"""

from .._optional import extra

extra("torch", "torch")

from .layers import GRU, LSTM, RNN  # noqa: E402
from .swapping import replace  # noqa: E402

__all__ = ["GRU", "LSTM", "RNN", "replace"]
