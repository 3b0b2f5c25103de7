"""The command ``rnn-fast train``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Terminated
from ..losses import LOSSES
from ..models.base import Model
from ..models.loading import MODELS
from ..optimizers import OPTIMIZERS, Optimizer
from ..training.schedules import SCHEDULES
from . import output
from .data import LENGTH, SAMPLES, TEST_FRACTION, Data, generate_data, read_data
from .options import InputError, check_writable, number


def add_train(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command ``train`` and its options."""
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
    option("--missing", ("nan",), "nan", "NaN in y of --data does not count: it is missing")
    option("--samples", count, "N", f"sequences to generate (default: {SAMPLES})")
    option("--length", count, "T", f"steps of each (default: {LENGTH})")
    group = command.add_argument_group("network")
    option("--cell", tuple(MODELS), "CELL", "rnn, leaky, gru or lstm", "rnn")
    option("--hidden", count, "H", "units of a layer", 32)
    option("--layers", count, "N", "layers, one on top of the other", 1)
    flag("--bidirectional", "read in both directions")
    option("--nonlinearity", ("tanh", "relu"), "F", "of the cells rnn and leaky: tanh or relu")
    flag("--every-step", "an output after every step, not only after the last: y is (N, T)")
    option("--embedding", count, "E", "X is integers (N, T), each stands for E learned numbers")
    losses = "bce, cross_entropy (softmax), mse, huber, mae, poisson, gaussian or quantile "
    losses += (
        "(default: bce for y of 0 and 1, cross_entropy for other integers, mse for real numbers)"
    )
    option("--loss", tuple(LOSSES), "LOSS", losses)
    option("--dtype", ("float32", "float64"), "D", "float32 or float64", "float32")
    group = command.add_argument_group("training")
    option("--epochs", count, "N", "passes over the data", 10)
    option("--batch-size", count, "B", "sequences per update", 1)
    option("--learning-rate", number(float, 0), "LR", "step size", 0.01)
    option("--schedule", tuple(SCHEDULES), "NAME", "of the step size: " + ", ".join(SCHEDULES))
    option("--optimizer", tuple(OPTIMIZERS), "NAME", ", ".join(OPTIMIZERS), "sgd")
    option(
        "--momentum",
        number(float, 0, 1),
        "M",
        "share of the last step in the next",
    )
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


def train(args: argparse.Namespace) -> None:
    """Train, report, save."""
    for path in (args.save, args.checkpoint):
        if path:
            check_writable(path)
    data = read_data(args) if args.data else generate_data(args)
    model = new_model(args, data)
    _, T, features = data.X.shape if data.X.ndim == 3 else (*data.X.shape, "indices")

    def say(text: str) -> None:
        if args.quiet:
            return
        try:
            output.say(text)
        except OSError:  # such as a pipe to `head`
            if not (args.save or args.checkpoint):  # what is learned would reach nobody
                raise
            output.settle()

    source = args.data or "is the sum of standard-normal numbers positive?"
    size = f"{np.sum(~data.test)} sequences of {T} steps of {features}"
    say(f"{model!r}\nlearning from {size}: {source}")
    whole = data.part(np.full(len(data.X), True))
    # all in one piece, so that errors name the user's own index
    before = model.evaluate(**whole, missing=args.missing)
    say(f"untrained: {measures(before)}")
    try:
        history = model.fit(
            **data.part(~data.test),
            missing=args.missing,
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
        held_out = measures(model.evaluate(**data.part(data.test), missing=args.missing))
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
        if "nonlinearity" not in signature(MODELS[args.cell]).parameters:
            raise InputError(f"--nonlinearity is for --cell rnn or leaky, not for {args.cell}")
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
    """Return the optimizer that the options ask for."""
    kind = OPTIMIZERS[args.optimizer]
    if args.momentum is None:
        return kind()
    settings = {"momentum": args.momentum}
    if not settings.keys() <= kind.__dataclass_fields__.keys():
        raise InputError(f"--momentum is for --optimizer sgd and rmsprop, not for {kind.name}")
    return kind(**settings)


def measures(values: dict[str, float]) -> str:
    """Loss and accuracy in words."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def prediction(model: Model, X: np.ndarray, y: np.ndarray, lengths: Any) -> str:
    """Return the prediction for the one sequence in `X`, or for its last step, as text."""
    last = 0 if not model.return_sequences else (0, -1 if lengths is None else lengths[0] - 1)
    said, truth = str(np.round(model.predict(X, lengths=lengths)[last], 4)), y[last]
    loss = LOSSES[model.loss]
    if loss.classifies:
        probability = np.round(model.predict_proba(X, lengths=lengths)[last], 4)
        if loss.takes_classes:
            said = f"class {said}, with probability {probability.max()!s}"
        else:
            said = f"class {said}, as the probability of 1 is {probability!s}"
    return f"{said}; the truth is {truth}"
