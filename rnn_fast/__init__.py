"""Recurrent networks trained on a CPU by one compiled program."""

from . import tasks
from .errors import DivergedError, ModelFileError, Terminated
from .history import History
from .models import GRU, LSTM, SimpleRNN, from_torch, load
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .schedules import Cosine, Exponential, ReduceOnPlateau, Step, WarmUp
from .stopping import EarlyStopping

__version__ = "0.1.0"
__all__ = [
    "GRU",
    "LSTM",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Cosine",
    "DivergedError",
    "EarlyStopping",
    "Exponential",
    "History",
    "ModelFileError",
    "RMSprop",
    "ReduceOnPlateau",
    "SimpleRNN",
    "Step",
    "Terminated",
    "WarmUp",
    "__version__",
    "from_torch",
    "load",
    "tasks",
]
