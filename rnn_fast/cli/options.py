"""Types of options, and checks that several commands share."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..models.loading import Model, load


class InputError(ValueError):
    """An option, or a file that it names, cannot be used."""


def number(kind: Callable[[str], float], low: float, high: float = np.inf) -> Callable:
    """Return an argparse type: a number of `kind` with ``low <= value < high``."""

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value < high:
            limit = f"below {high:g}" if high < np.inf else "finite"
            raise argparse.ArgumentTypeError(f"must be at least {low:g} and {limit}; got {text}")
        return value

    parse.__name__ = kind.__name__  # for argparse's message "invalid int value: 'x'"
    return parse


def check_writable(path: Path) -> None:
    """Raise an error for a file that cannot be written, before the work and not after it."""
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a directory")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def read_model(path: Path) -> Model:
    """Return the model in a file.

    Raises
    ------
    InputError, ModelFileError
        The file cannot be read, or is no model.
    """
    try:
        return load(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
