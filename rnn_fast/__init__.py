"""Recurrent networks trained on a CPU by one compiled program."""

from typing import TYPE_CHECKING, Any

from . import callbacks, cells, tasks
from .analysis import FixedPoints, fixed_points
from .data.joined import Joined, with_static
from .data.windows import Windows, windows
from .errors import DivergedError, ModelFileError, Terminated
from .models.loading import from_torch, load
from .models.own import Recurrent
from .models.recurrent import GRU, LSTM, LeakyRNN, SimpleRNN
from .models.stack import Stack
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .training.early_stopping import EarlyStopping
from .training.history import History
from .training.schedules import Cosine, Exponential, ReduceOnPlateau, Step, WarmUp

if TYPE_CHECKING:
    from .studies.ensemble import Ensemble
    from .studies.fit_many import fit_many
    from .studies.runs import folds, grid
    from .studies.study import Study

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
    "Ensemble",
    "Exponential",
    "FixedPoints",
    "History",
    "Joined",
    "LeakyRNN",
    "ModelFileError",
    "RMSprop",
    "Recurrent",
    "ReduceOnPlateau",
    "SimpleRNN",
    "Stack",
    "Step",
    "Study",
    "Terminated",
    "WarmUp",
    "Windows",
    "__version__",
    "callbacks",
    "cells",
    "fit_many",
    "fixed_points",
    "folds",
    "from_torch",
    "grid",
    "load",
    "tasks",
    "windows",
    "with_static",
]

#: modules of names that are imported on first use: SQLite and the rest take 5 ms
LATER = {
    "Ensemble": "ensemble",
    "Study": "study",
    "fit_many": "fit_many",
    "folds": "runs",
    "grid": "runs",
}


def __getattr__(name: str) -> Any:
    """Return a name of `LATER`."""
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".studies.{LATER[name]}", __name__), name)
    return value
