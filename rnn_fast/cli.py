"""The command line: ``rnn-fast train``, ``rnn-fast predict`` and ``rnn-fast bench``.

Exit codes: 0 done; 1 failed while running, such as training that diverged; 2 wrong usage or bad
input; 130 interrupted by Ctrl-C, 143 by SIGTERM.  Results go to standard output, progress and
errors to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from . import DivergedError, Terminated, __version__, load
from .base import Model
from .cli_bench import add_bench
from .cli_data import LENGTH, SAMPLES, TEST_FRACTION, Data, generated, own, read_arrays
from .cli_options import InputError, check_writable, number
from .layout import LOSSES
from .models import MODELS
from .optimizers import BY_NAME, SGD, Optimizer
from .schedules import BY_NAME as SCHEDULES
from .scores import CLASSIFIES

# ------------------------------------------------------------------------------------ arguments


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(
        prog="rnn-fast", description="Train recurrent networks on a CPU, compiled from end to end."
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_train(commands.add_parser)
    add_predict(commands.add_parser)
    add_bench(commands.add_parser)
    return top


def add_train(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """The options of ``train``."""
    command = add_parser(
        "train",
        help="train a network, on your data or on a generated experiment",
        description="Train a recurrent network by stochastic gradient descent. Without --data the "
        "sequences are generated: standard-normal steps, labelled by whether their sum is "
        "positive.",
        epilog="The very first run compiles the network's code; later runs load what it kept.",
    )
    command.set_defaults(run=train)

    def flag(name: str, text: str) -> None:
        group.add_argument(name, action="store_true", help=text)

    def option(name: str, kind: Any, metavar: str, text: str, default: Any = None) -> None:
        choices = {"choices": kind} if isinstance(kind, tuple) else {"type": kind}
        text += "" if default is None else " (default: %(default)s)"
        group.add_argument(name, metavar=metavar, default=default, help=text, **choices)

    count = number(int, 1)
    group = command.add_argument_group("data")
    option("--data", Path, "FILE.npz", "arrays X (N, T, I), y, and perhaps lengths (N,)")
    held = f"share of --data held out, at random, to test on (default: {TEST_FRACTION})"
    option("--test-fraction", number(float, 0, 1), "F", held)
    option("--samples", count, "N", f"sequences to generate (default: {SAMPLES})")
    option("--length", count, "T", f"steps of each (default: {LENGTH})")
    group = command.add_argument_group("network")
    option("--cell", tuple(MODELS), "CELL", "rnn, gru or lstm", "rnn")
    option("--hidden", count, "H", "units of a layer", 32)
    option("--layers", count, "N", "layers, one on top of the other", 1)
    flag("--bidirectional", "read in both directions")
    option("--nonlinearity", ("tanh", "relu"), "F", "of the cell rnn: tanh or relu")
    flag("--every-step", "an output after every step, not only after the last: y is (N, T)")
    option("--embedding", count, "E", "X is integers (N, T), each stands for E learned numbers")
    losses = "bce, cross_entropy (softmax), mse, huber or mae (default: bce for y of 0 and 1, "
    losses += "cross_entropy for other integers, mse for real numbers)"
    option("--loss", LOSSES, "LOSS", losses)
    option("--dtype", ("float32", "float64"), "D", "float32 or float64", "float32")
    group = command.add_argument_group("training")
    option("--epochs", count, "N", "passes over the data", 10)
    option("--batch-size", count, "B", "sequences per update", 1)
    option("--learning-rate", number(float, 0), "LR", "step size", 0.01)
    option("--schedule", tuple(SCHEDULES), "NAME", "of the step size: " + ", ".join(SCHEDULES))
    option("--optimizer", tuple(BY_NAME), "NAME", "sgd, rmsprop, adam, adamw or adagrad", "sgd")
    option("--momentum", number(float, 0, 1), "M", "of sgd: share of the last step in the next")
    option("--clip-norm", number(float, 0), "C", "limit of the norm of a gradient")
    option("--dropout", number(float, 0, 1), "P", "of what goes from layer to layer", 0.0)
    option("--bptt", count, "K", "update after every K steps, truncating the gradient there")
    option("--seed", number(int, 0), "S", "for weights, order, split and generated data", 0)
    option("--threads", count, "N", "that work on a batch (default: all cores)")
    group = command.add_argument_group("output")
    option("--checkpoint", Path, "FILE", "write the state of the training after every epoch")
    flag("--resume", "go on from --checkpoint, if it exists")
    option("--save", Path, "FILE", "write the trained network, as safetensors")
    group.add_argument("--quiet", action="store_true", help="print errors only")


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
    output = "write a .csv file, or an .npz file of arrays class and probability, or value"
    add("--output", type=Path, metavar="FILE", help=output)


# ------------------------------------------------------------------------------------- commands


def train(args: argparse.Namespace) -> None:
    """Train, report, save."""
    for path in (args.save, args.checkpoint):
        if path:
            check_writable(path)
    data = own(args) if args.data else generated(args)
    model = new_model(args, data)
    _, T, features = data.X.shape if data.X.ndim == 3 else (*data.X.shape, "indices")

    def say(text: str) -> None:
        if not args.quiet:
            print(text, flush=True)

    source = args.data or "is the sum of standard-normal numbers positive?"
    size = f"{np.sum(~data.test)} sequences of {T} steps of {features}"
    say(f"{model!r}\nlearning from {size}: {source}")
    whole = data.part(np.full(len(data.X), True))
    before = model.evaluate(**whole)  # all in one piece, so that errors name the user's own index
    say(f"untrained: {measures(before)}")
    try:
        history = model.fit(
            **data.part(~data.test),
            epochs=args.epochs,
            batch_size=args.batch_size,
            schedule=args.schedule,
            optimizer=optimizer(args),
            clip_norm=args.clip_norm,
            bptt=args.bptt,
            n_threads=args.threads,
            checkpoint=args.checkpoint,
            resume=args.resume,
            verbose=0 if args.quiet else 2,
        )
    except (KeyboardInterrupt, Terminated):
        if args.save:
            model.save(args.save)
            say(f"stopped early; what was learned is in {args.save}")
        raise
    speeds = history.sequences_per_second
    say(
        f"throughput: {np.median(speeds[1:] or speeds):,.0f} sequences/s; training took "
        f"{sum(history.seconds):.3g} s (a first run compiles, later ones load what it kept)"
    )
    if data.test.any():
        held_out = measures(model.evaluate(**data.part(data.test)))
        say(f"{np.sum(data.test)} held-out sequences: {held_out}")
        one = data.part(np.flatnonzero(data.test)[:1])
        say(f"one prediction: {prediction(model, **one)}")
    if args.save:
        model.save(args.save)
        say(f"saved: {args.save}")


def new_model(args: argparse.Namespace, data: Data) -> Model:
    """An untrained model of the options' architecture, that fits the data."""
    options: dict[str, Any] = {}
    if args.nonlinearity is not None:
        if args.cell != "rnn":
            raise InputError(f"--nonlinearity is for --cell rnn, not for {args.cell}")
        options["nonlinearity"] = args.nonlinearity
    vocabulary = args.embedding is not None
    return MODELS[args.cell](
        int(data.X.max(initial=0)) + 1 if vocabulary else data.X.shape[2],
        args.hidden,
        data.outputs,
        num_layers=args.layers,
        bidirectional=args.bidirectional,
        return_sequences=args.every_step,
        embedding_size=args.embedding,
        dropout=args.dropout,
        loss=data.loss,
        dtype=args.dtype,
        seed=args.seed,
        learning_rate=args.learning_rate,
        **options,
    )


def optimizer(args: argparse.Namespace) -> Optimizer:
    """What the options ask for."""
    if args.momentum is None:
        return BY_NAME[args.optimizer]()
    if args.optimizer != "sgd":
        raise InputError(f"--momentum is for --optimizer sgd, not for {args.optimizer}")
    return SGD(momentum=args.momentum)


def measures(values: dict[str, float]) -> str:
    """Loss and accuracy in words."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def prediction(model: Model, X: np.ndarray, y: np.ndarray, lengths: Any) -> str:
    """What `model` says of the one sequence in `X`, or of its last step, in words."""
    last = 0 if not model.return_sequences else (0, -1 if lengths is None else lengths[0] - 1)
    said, truth = str(np.round(model.predict(X, lengths=lengths)[last], 4)), y[last]
    if model.loss in CLASSIFIES:
        probability = np.round(model.predict_proba(X, lengths=lengths)[last], 4)
        if model.loss == "cross_entropy":
            said = f"class {said}, with probability {probability.max()!s}"
        else:
            said = f"class {said}, as the probability of 1 is {probability!s}"
    return f"{said}; the truth is {truth}"


def predict(args: argparse.Namespace) -> None:
    """Apply a saved model and print or write what it says."""
    if args.output:
        if args.output.suffix not in (".csv", ".npz"):
            raise InputError(f"--output {args.output}: the name must end in .csv or .npz")
        check_writable(args.output)
    try:
        model = load(args.model)
    except OSError as error:
        raise InputError(f"{args.model}: {error.strerror or error}") from None
    X, lengths = read_arrays(args.data, "X", optional="lengths")
    given = {"X": X, "lengths": lengths}
    if model.loss in CLASSIFIES:
        said = {"class": model.predict(**given), "probability": model.predict_proba(**given)}
    else:
        said = {"value": model.predict(**given)}
    if args.output and args.output.suffix == ".npz":
        np.savez(args.output, **said)
        return
    if model.return_sequences:
        said = by_step(said, X.shape[1], lengths)
    if args.output is None:
        write_csv(sys.stdout, said)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process if not given.

    Returns
    -------
    int
        The exit code; wrong usage raises SystemExit(2) instead, as argparse does.
    """
    args = parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        return fail(str(error) or "interrupted", 130)
    except Terminated as error:
        return fail(str(error), 143)
    except BrokenPipeError:  # the reader of our output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MemoryError as error:
        return fail(f"out of memory: {error}", 1)
    except (DivergedError, OSError) as error:
        return fail(str(error), 1)
    except (ValueError, TypeError) as error:
        return fail(str(error), 2)
    return 0


def fail(message: str, code: int) -> int:
    """Say on one line what went wrong; returns `code`."""
    print("rnn-fast: error:", " ".join(message.split()), file=sys.stderr)
    return code
