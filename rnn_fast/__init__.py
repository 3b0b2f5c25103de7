"""Recurrent networks trained on a CPU by one compiled program."""

from .errors import DivergedError, ModelFileError
from .history import History
from .models import SimpleRNN, load

__version__ = "0.1.0"
__all__ = ["DivergedError", "History", "ModelFileError", "SimpleRNN", "__version__", "load"]
