"""Recurrent networks trained on a CPU by one compiled program."""

from .errors import DivergedError, ModelFileError
from .history import History
from .models import GRU, LSTM, SimpleRNN, from_torch, load
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

__version__ = "0.1.0"
__all__ = [
    "GRU",
    "LSTM",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "DivergedError",
    "History",
    "ModelFileError",
    "RMSprop",
    "SimpleRNN",
    "__version__",
    "from_torch",
    "load",
]
