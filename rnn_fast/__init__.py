"""Recurrent networks trained on a CPU by one compiled program."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import callbacks, cells, tasks
    from . import errors as errors
    from . import losses as losses
    from . import optimizers as optimizers
    from .analysis import FixedPoints, fixed_points
    from .data.joined import Joined, with_static
    from .data.windows import Windows, windows
    from .errors import DivergedError, ModelFileError, Terminated
    from .models.imported import from_flax, from_keras, from_onnx, from_rtneural, from_torch
    from .models.loading import load
    from .models.own import Recurrent
    from .models.recurrent import GRU, LSTM, LeakyRNN, SimpleRNN
    from .models.stack import Stack
    from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
    from .studies.ensemble import Ensemble
    from .studies.fit_many import fit_many
    from .studies.runs import folds, grid
    from .studies.study import Study
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
    "from_flax",
    "from_keras",
    "from_onnx",
    "from_rtneural",
    "from_torch",
    "grid",
    "load",
    "tasks",
    "windows",
    "with_static",
]

#: modules by the names that they have; each is imported when one is first used
MODULES = {
    "analysis": ("FixedPoints", "fixed_points"),
    "data.joined": ("Joined", "with_static"),
    "data.windows": ("Windows", "windows"),
    "errors": ("DivergedError", "ModelFileError", "Terminated"),
    "models.imported": ("from_flax", "from_keras", "from_onnx", "from_rtneural", "from_torch"),
    "models.loading": ("load",),
    "models.own": ("Recurrent",),
    "models.recurrent": ("GRU", "LSTM", "LeakyRNN", "SimpleRNN"),
    "models.stack": ("Stack",),
    "optimizers": ("SGD", "Adagrad", "Adam", "AdamW", "RMSprop"),
    "studies.ensemble": ("Ensemble",),
    "studies.fit_many": ("fit_many",),
    "studies.runs": ("folds", "grid"),
    "studies.study": ("Study",),
    "training.early_stopping": ("EarlyStopping",),
    "training.history": ("History",),
    "training.schedules": ("Cosine", "Exponential", "ReduceOnPlateau", "Step", "WarmUp"),
}
PLACES = {name: module for module, names in MODULES.items() for name in names}
PARTS = ("callbacks", "cells", "errors", "losses", "optimizers", "tasks")  #: modules

if not TYPE_CHECKING:  # or a type checker would take any name for one of the package

    def __getattr__(name: str) -> Any:
        """Return a name of `PLACES` or `PARTS`, whose module is imported now."""
        from importlib import import_module

        if name in PARTS:
            return import_module(f".{name}", __name__)
        if name not in PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{PLACES[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
