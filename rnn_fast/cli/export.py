"""The command ``rnn-fast export``."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._optional import extra
from ..saving import files
from .options import InputError, check_writable, read_model

#: what a file holds, by the format; all but torch name the method of models that writes it
FORMATS = {
    "onnx": "a graph of ONNX",
    "c": "a header in C99, named after the file",
    "rtneural": "JSON for RTNeural, AIDA-X and GuitarML",
    "library": "a shared library, with a header beside it",
    "torch": "the state_dict of the module that to_torch returns",
}


def add_export(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """The options of ``export``."""
    command = add_parser(
        "export",
        help="write a saved network for other programs",
        description="Write a saved network in the format of another program: "
        + "; ".join(f"{name}: {text}" for name, text in FORMATS.items())
        + ".",
    )
    command.set_defaults(run=export)
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="what train --save wrote")
    add("--to", choices=FORMATS, required=True, help="the format")
    add("file", type=Path, metavar="FILE", help="replaced if it exists")


def export(args: argparse.Namespace) -> None:
    """Write a saved model in another format."""
    check_writable(args.file)
    model = read_model(args.model)
    try:
        if args.to == "torch":
            write_state(model, args.file)
        else:
            getattr(model, f"to_{args.to}")(args.file)
    except (ImportError, RuntimeError) as error:  # a package or a C compiler is missing
        raise InputError(str(error)) from None


def write_state(model: Any, path: Path) -> None:
    """Write the state_dict of the PyTorch module of a model.

    It loads with ``weights_only=True``, which runs no code of the file; a module would not.
    """
    buffer = io.BytesIO()
    extra("torch", "torch").save(model.to_torch().state_dict(), buffer)
    files.replace(str(path), buffer.getvalue())
