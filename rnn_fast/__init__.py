"""Recurrent networks trained on a CPU by one compiled program."""

from . import callbacks, tasks
from .errors import DivergedError, ModelFileError, Terminated
from .models.loading import from_torch, load
from .models.recurrent import GRU, LSTM, SimpleRNN
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .training.early_stopping import EarlyStopping
from .training.history import History
from .training.schedules import Cosine, Exponential, ReduceOnPlateau, Step, WarmUp

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
    "callbacks",
    "from_torch",
    "load",
    "tasks",
]
