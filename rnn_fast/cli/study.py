"""The command ``rnn-fast study``."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._optional import extra
from ..losses import LOSSES
from ..models.loading import MODELS
from ..optimizers import OPTIMIZERS
from ..training.schedules import SCHEDULES
from . import output
from .data import check_shapes, counted_targets, infer, read_arrays
from .options import InputError, check_writable, number

#: words of the command line for arguments of models
WORDS = {"hidden": "hidden_size", "layers": "num_layers", "embedding": "embedding_size"}
CONSTANTS = {"None": None, "True": True, "False": False}


def add_study(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command ``study`` and its options."""
    command = add_parser(
        "study",
        help="train many networks on your data, or look at such a study",
        description="Train a network for each combination of settings and folds, or, with the name "
        "of a store alone, look at what was trained. The same command goes on where it stopped.",
        epilog="Example: rnn-fast study --data d.npz --cell gru --grid hidden=1,2,5 l1=1e-5,1e-4 "
        "--seeds 3 --folds 10x9 --epochs 2000 --early-stopping 200 --store animals.study",
    )
    command.set_defaults(run=study)
    add, count = command.add_argument, number(int, 1)
    add("path", nargs="?", type=Path, metavar="STORE", help="a store to look at, without --data")
    add = command.add_argument_group("data").add_argument
    add("--data", type=Path, metavar="FILE.npz", help="arrays X (N, T, I), y, perhaps lengths (N,)")
    add("--missing", choices=("nan",), metavar="nan", help="NaN in y does not count: it is missing")
    folds = "folds of validation data, or of test data times folds of validation data: 5, 10x9"
    add("--folds", type=fold_counts, metavar="[KxL]", help=folds)
    add("--by", metavar="NAME", help="array of --data, (N,): each of its values has its own folds")
    add = command.add_argument_group("rows").add_argument
    grid = "values of arguments of a model and of fit: hidden=1,2,5 l1=1e-5,1e-4"
    add("--grid", nargs="+", action="extend", type=grid_column, metavar="NAME=V,V", help=grid)
    add("--seeds", type=count, metavar="N", help="seeds of each row: 0 .. N - 1")
    _add_settings(command, count)
    add = command.add_argument_group("output").add_argument
    add("--store", type=Path, metavar="FILE", help="keeps all results; needed with --data")
    where = command.add_mutually_exclusive_group().add_argument
    where("--jobs", type=count, metavar="N", help="networks at the same time (default: all cores)")
    where(
        "--dask", metavar="ADDRESS", help="a Dask scheduler, as tcp://head:8786: its workers train"
    )
    add("--retry-failed", action="store_true", help="train those again that failed or diverged")
    best = "print the best rows as CSV, such as val_loss or test_accuracy"
    add("--best", metavar="MEASURE", help=best)
    add("--per", metavar="NAMES", help="of --best: a row for each combination, as by,outer")
    add("--report", type=Path, metavar="FILE.html", help="write a page with figures and tables")
    add("--quiet", action="store_true", help="print errors and the rows of --best only")


def _add_settings(command: argparse.ArgumentParser, count: Callable) -> None:
    """Add the options that are the same for all rows."""
    group = command.add_argument_group("settings of all rows")

    def option(name: str, kind: Any, metavar: str, text: str) -> None:
        choices = {"choices": kind} if isinstance(kind, tuple) else {"type": kind}
        group.add_argument(name, metavar=metavar, help=text, **choices)

    option("--cell", tuple(MODELS), "CELL", "rnn, leaky, gru or lstm (default: gru)")
    option("--hidden", count, "H", "units of a layer")
    option("--layers", count, "N", "layers, one on top of the other")
    group.add_argument("--every-step", action="store_true", help="an output after every step")
    option("--embedding", count, "E", "X is integers (N, T), each stands for E learned numbers")
    option("--loss", tuple(LOSSES), "LOSS", "as for train (default: by y)")
    option("--dtype", ("float32", "float64"), "D", "float32 or float64")
    option("--epochs", count, "N", "passes over the data, at most")
    option("--batch-size", count, "B", "sequences per update (default: all)")
    option("--learning-rate", number(float, 0), "LR", "step size")
    option("--schedule", tuple(SCHEDULES), "NAME", "of the step size: " + ", ".join(SCHEDULES))
    option("--optimizer", tuple(OPTIMIZERS), "NAME", ", ".join(OPTIMIZERS) + " (default: adam)")
    option("--early-stopping", count, "N", "epochs without a better loss after which to stop")
    option("--clip-norm", number(float, 0), "C", "limit of the norm of a gradient")
    option("--bptt", count, "K", "update after every K steps, truncating the gradient there")


#: options of all rows, beside those of `WORDS`, that are arguments of the same name
SAME = (
    "dtype",
    "epochs",
    "batch_size",
    "learning_rate",
    "schedule",
    "optimizer",
    "early_stopping",
    "clip_norm",
    "bptt",
)
SETTINGS = {**WORDS, **dict(zip(SAME, SAME, strict=True))}


def fold_counts(text: str) -> dict[str, int]:
    """Return the arguments of `folds`: "5" is inner folds, "10x9" outer and inner ones."""
    found = re.fullmatch(r"(?:(\d+)x)?(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"must be such as 5 or 10x9; got {text}")
    outer, inner = found.groups()
    return {"inner": int(inner), **({"outer": int(outer)} if outer else {})}


def grid_column(text: str) -> tuple[str, list[Any]]:
    """Return the name and the values of "name=value,value"."""
    name, equals, values = text.partition("=")
    if not (name.isidentifier() and equals and values):
        raise argparse.ArgumentTypeError(f"must be such as hidden=1,2,5; got {text}")
    return WORDS.get(name, name), [value_of(part) for part in values.split(",")]


def value_of(text: str) -> Any:
    """Return a value of a grid: an integer, a real number, True, False, None, or text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return CONSTANTS.get(text, text)


def study(args: argparse.Namespace) -> None:
    """Train a study, or open one; report."""
    from ..studies.study import Study

    if (args.data is None) == (args.path is None):
        raise InputError("study needs --data, to train, or the name of a store to look at")
    if args.data is not None and args.store is None:
        raise InputError("--data needs --store, a file for the results")
    if args.per and not args.best:
        raise InputError("--per goes with --best")
    if args.report:
        check_writable(args.report)
    try:
        with train_study(args) if args.data else Study.open(args.path) as results:
            report(args, results)
    except ImportError as error:
        raise InputError(str(error)) from None


def train_study(args: argparse.Namespace) -> Any:
    """Train the rows that the options ask for; return the study."""
    from ..studies.fit_many import fit_many
    from ..studies.runs import folds, grid

    check_writable(args.store)
    X, y, lengths = read_arrays(args.data, "X", "y", optional="lengths")
    check_shapes(args, X, y, lengths)
    columns = dict(args.grid or ())
    if args.seeds:
        columns["seed"] = list(range(args.seeds))
    runs = grid(**columns)
    if args.folds:
        by = None if args.by is None else read_arrays(args.data, args.by, optional="X")[0]
        runs = runs * folds(len(X), **args.folds, by=by)
    elif args.by is not None:
        raise InputError("--by goes with --folds")
    loss, outputs = infer(counted_targets(args, X, y, lengths), args.loss)
    vocabulary = args.embedding is not None
    common = {
        "input_size": int(X.max(initial=0)) + 1 if vocabulary else X.shape[2],
        "output_size": outputs,
        "return_sequences": args.every_step,
        "loss": loss,
        "optimizer": "adam",
        "batch_size": None,
    }
    given = {argument: getattr(args, name) for name, argument in SETTINGS.items()}
    common |= {name: value for name, value in given.items() if value is not None}
    kind = None if "cell" in columns else MODELS[args.cell or "gru"]
    if kind is None and args.cell:
        raise InputError("the cell is in --grid and in --cell")
    with cluster(args.dask) as client:
        return fit_many(
            kind,
            runs,
            X,
            y,
            lengths=lengths,
            missing=args.missing,
            store=args.store,
            n_jobs=args.jobs,
            client=client,
            retry_failed=args.retry_failed,
            verbose=False if args.quiet else None,
            **{name: value for name, value in common.items() if name not in columns},
        )


def cluster(address: str | None) -> Any:
    """Return a context manager of the client of a Dask scheduler; None: of None.

    Raises
    ------
    ImportError
        Dask is not installed.
    OSError, ValueError
        There is no such scheduler, or this is no address.
    """
    if address is None:
        return contextlib.nullcontext()
    return extra("distributed", "dask").Client(address)


def report(args: argparse.Namespace, results: Any) -> None:
    """Print what the options ask for, and write the page."""
    if args.report:
        results.report(args.report, args.best or "val_loss")
    if args.best:
        best = results.best(args.best, [name for name in (args.per or "").split(",") if name])
        output.say(best.to_csv().rstrip("\n"))
    elif not args.quiet:
        counts = ", ".join(f"{n} {status}" for status, n in results.counts().items())
        output.say(f"{results.path}: {len(results)} runs: {counts}")
        settings = {k: v for k, v in results.settings.items() if v is not None}
        output.say(", ".join(f"{name} = {value}" for name, value in settings.items()))
