"""Recurrent networks trained on a CPU by one compiled program."""

from .errors import DivergedError, ModelFileError
from .history import History
from .models import GRU, LSTM, SimpleRNN, from_torch, load

__version__ = "0.1.0"
__all__ = [
    "GRU",
    "LSTM",
    "DivergedError",
    "History",
    "ModelFileError",
    "SimpleRNN",
    "__version__",
    "from_torch",
    "load",
]
