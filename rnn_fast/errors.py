"""The errors of the package that have a name of their own."""

from __future__ import annotations

from typing import Any


class DivergedError(ArithmeticError):
    """Training left the finite numbers; the model is as before the epoch or update that failed.

    Attributes
    ----------
    history : History or None
        The epochs before it.
    """

    def __init__(self, message: str, history: Any = None) -> None:
        super().__init__(message)
        self.history = history


class Terminated(SystemExit):
    """SIGTERM came while a model was trained; the process exits with code 143 unless it is caught.

    The model is as the last update left it.

    Attributes
    ----------
    told : str
        How far the training went.
    """

    def __init__(self, told: str = "") -> None:
        super().__init__(128 + 15)
        self.told = told

    def __str__(self) -> str:
        return self.told


class ModelFileError(ValueError):
    """A file is not a model that this version reads, or it is damaged."""


class CacheWarning(RuntimeWarning):
    """Compiled programs are not kept on disk, so every process compiles again for some seconds."""


class CompilerMissing(ImportError):
    """Something needs a compiled program that can neither be found nor made.

    Parameters
    ----------
    wanted : str
        What needs it, the subject of the message.
    """

    def __init__(self, wanted: str) -> None:
        super().__init__(
            f"{wanted} needs Numba, which is not installed; `pip install 'rnn_fast[jit]'` brings it"
        )
        self._wanted = wanted

    def __reduce__(self) -> tuple[Any, ...]:  # a worker of a cluster sends it
        return type(self), (self._wanted,)
