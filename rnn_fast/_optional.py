"""Import of optional packages, where they are used."""

from __future__ import annotations

import importlib
from typing import Any


def extra(module: str, name: str) -> Any:
    """Import `module`, which the extra `name` of this package installs.

    Raises
    ------
    ImportError
        `module` is not installed; the message has the command that installs it.  Other errors of
        the import pass through.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name not in (module, package):  # it is installed, but lacks something itself
            raise
        raise ImportError(
            f"{package} is not installed; `pip install 'rnn_fast[{name}]'` brings it"
        ) from error
