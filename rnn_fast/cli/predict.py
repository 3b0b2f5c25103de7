"""The command ``rnn-fast predict``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..losses import LOSSES
from . import output
from .data import read_arrays
from .options import InputError, check_writable, read_model


def add_predict(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """The options of ``predict``."""
    command = add_parser(
        "predict",
        help="apply a saved network",
        description="Print, as CSV, one line per sequence, or per step of a network with an output "
        "after each: its class and probabilities, or the values of a regression.",
    )
    command.set_defaults(run=predict)
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="what train --save wrote")
    add("data", type=Path, metavar="DATA.npz", help="array X (N, T, I), and perhaps lengths (N,)")
    text = "write a .csv file, or an .npz file of arrays class and probability, or value"
    add("--output", type=Path, metavar="FILE", help=text)


def predict(args: argparse.Namespace) -> None:
    """Apply a saved model and print or write what it says."""
    if args.output:
        if args.output.suffix not in (".csv", ".npz"):
            raise InputError(f"--output {args.output}: the name must end in .csv or .npz")
        check_writable(args.output)
    else:
        output.stdout()  # an error before the work, if there is none
    model = read_model(args.model)
    X, lengths = read_arrays(args.data, "X", optional="lengths")
    given = {"X": X, "lengths": lengths}
    if LOSSES[model.loss].classifies:
        said = {"class": model.predict(**given), "probability": model.predict_proba(**given)}
    else:
        said = {"value": model.predict(**given)}
    if args.output and args.output.suffix == ".npz":
        np.savez(args.output, **said)
        return
    if model.return_sequences:
        said = by_step(said, X.shape[1], lengths)
    if args.output is None:
        write_csv(output.stdout(), said)
    else:
        with open(args.output, "w", encoding="utf-8") as file:
            write_csv(file, said)


def by_step(arrays: dict[str, np.ndarray], T: int, lengths: Any) -> dict[str, np.ndarray]:
    """Arrays (N, T, ...) by step, (n, ...), after the numbers of the sequence and the step."""
    N = len(next(iter(arrays.values())))
    inside = np.arange(T) < (np.full(N, T) if lengths is None else lengths)[:, None]
    sequence, step = np.nonzero(inside)
    rows = {name: array[inside] for name, array in arrays.items()}
    return {"sequence": sequence, "step": step, **rows}


def write_csv(file: IO[str], arrays: dict[str, np.ndarray]) -> None:
    """A line of names, then one line per row; an array of k columns is name_0 .. name_k-1."""
    names: list[str] = []
    formats: list[str] = []
    for name, array in arrays.items():
        columns = array.shape[1] if array.ndim > 1 else 1
        names += [name] if columns == 1 else [f"{name}_{i}" for i in range(columns)]
        digits = {4: "%.9g", 8: "%.17g"}[array.itemsize]  # enough to read back the same number
        formats += [digits if array.dtype.kind == "f" else "%d"] * columns
    table = np.column_stack(list(arrays.values()))
    np.savetxt(file, table, formats, delimiter=",", header=",".join(names), comments="")
