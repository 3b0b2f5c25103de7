"""Settings of a training: valid ones, and ones that must be refused."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np
from judge import World

import rnn_fast as rf
from rnn_fast.optimizers import OPTIMIZERS

NAN, INF, HUGE = float("nan"), float("inf"), 10**400
NO_NUMBER: list[Any] = ["3", None, 3j, [1], {}, object(), np.array([1, 2]), True]
NO_RATE: list[Any] = [NAN, INF, -1, -0.5, HUGE, np.float32("nan"), *NO_NUMBER]
NO_COUNT: list[Any] = [0, -1, 2.0, NAN, Fraction(1, 2), np.float64(3), *NO_NUMBER]
NO_FLAG: list[Any] = ["yes", 2, "False", [True], {}, np.array([True, False]), 0.0]


def without(values: list[Any], *allowed: Any) -> list[Any]:
    """The values that are none of some allowed ones."""
    return [value for value in values if not any(value is each for each in allowed)]


FLAWS: dict[str, list[Any]] = {
    "epochs": without(NO_COUNT, 0),
    "batch_size": without(NO_COUNT, None),
    "learning_rate": without(NO_RATE, None),
    "schedule": ["linear", 3, rf.Cosine, b"cosine", {}, 1j],
    "optimizer": ["lbfgs", 3, rf.Adam, b"adam", None, {}],
    "clip_norm": [0, *without(NO_RATE, None)],
    "clip_value": [0, *without(NO_RATE, None)],
    "l1": [
        *without(NO_RATE, None, NO_RATE[0])[:3],
        "x",
        {"nothing": 1.0},
        {"Whh": -1},
        {"Whh": "x"},
    ],
    "l2": [-1, NAN, "x", {"nothing": 1.0}, {"Whh": INF}, {1: 2}],
    "activity_l1": without(NO_RATE, None),
    "activity_l2": without(NO_RATE, None),
    "loss": [3, "mse", 1j],
    "shuffle": NO_FLAG,
    "shuffle_block": without(NO_COUNT, None),
    "bptt": without(NO_COUNT, None),
    "validation_split": [1, 1.5, -0.1, NAN, "x", 3j],
    "early_stopping": without(NO_COUNT, None),
    "callbacks": [3, [3], "print", ["print"], [None]],
    "checkpoint_every": [0, -1, 1.5, "x", timedelta(0), timedelta(-1)],
    "n_threads": without(NO_COUNT, None),
    "verbose": [3, -1, "yes", [1], 0.5],
    "check_finite": NO_FLAG,
    "resume": NO_FLAG,
    "validation_data": [3, (1,), "xy", (1, 2, 3, 4), {}],
}
#: arguments of fit that fit_stream lacks
NOT_OF_STREAMS = ("shuffle", "shuffle_block", "validation_split")


def flawed_settings(world: World, streams: bool = False) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return one setting that must be refused, and the words for its message."""
    name = world.pick([n for n in FLAWS if not (streams and n in NOT_OF_STREAMS)])
    value = world.pick(FLAWS[name])
    settings = {name: value, "verbose": 0} if name != "verbose" else {name: value}
    if name in ("checkpoint_every", "resume"):
        settings["checkpoint"] = world.folder / "flawed"
    return settings, (name, "validation X", "validation y") if name == "validation_data" else (
        name,
    )


def drawn_optimizer(world: World) -> Any:
    """Draw an optimizer of the case's kind, by name or with settings."""
    name = world.programs.optimizer
    if world.flip():
        return name
    decay = {"weight_decay": world.pick([0.0, 0.125])}
    momentum, epsilon = world.pick([0.0, 0.5]), {"epsilon": world.pick([1e-2, 1e-3])}
    settings: dict[str, dict[str, Any]] = {
        "sgd": {"momentum": momentum, "nesterov": bool(momentum) and world.flip()},
        "rmsprop": {"alpha": 0.75, "momentum": momentum, "centered": world.flip(), **epsilon},
        "adam": {"beta1": 0.5, "beta2": 0.75, **epsilon},
        "adamw": {"beta1": 0.0, **epsilon},
        "adagrad": {"lr_decay": 0.25, **epsilon},
    }
    return OPTIMIZERS[name](**settings[name], **decay)


def drawn_schedule(world: World) -> Any:
    """Draw a schedule, by name or as an object."""
    kinds = [
        None,
        "constant",
        "plateau",
        rf.Step(every=1, factor=0.5),
        rf.Exponential(0.5),
        rf.Cosine(end=0.25),
        rf.WarmUp(1.5, then="cosine"),
        rf.ReduceOnPlateau(factor=0.5, patience=0),
    ]
    return world.pick([None, world.pick(kinds)])


def drawn_settings(world: World, n: int, streams: bool = False) -> dict[str, Any]:
    """Draw valid settings of a training on n sequences."""
    settings: dict[str, Any] = {
        "epochs": int(world.rng.integers(0 if world.flip(8) else 1, 4)),
        "learning_rate": world.pick([None, 0.0625, 0.015625, 0]),
        "schedule": drawn_schedule(world),
        "optimizer": drawn_optimizer(world),
        "clip_norm": world.pick([None, None, 0.5, 10**6]),
        "clip_value": world.pick([None, None, 0.03125]),
        "l1": world.pick([None, None, 0.0078125, {"Whh": 0.0625, "by": 1}]),
        "l2": world.pick([None, None, 0.0078125, {"Wxh": 0.5}]),
        "verbose": world.pick([0, 0, 0, 0, 0, None, 1, 2]),
        "early_stopping": world.pick([None, None, 1, rf.EarlyStopping(1, min_delta=0.5)]),
        "n_threads": world.pick([1, 2, 3]),
    }
    if world.net.directions == 1 and world.flip(3):
        settings["bptt"] = int(world.rng.integers(1, 12))
    if not streams:
        settings["shuffle"] = world.pick([True, True, False])
        settings["batch_size"] = world.pick([None, int(world.rng.integers(1, n + 2))])
        if world.flip(4):
            settings["shuffle_block"] = int(world.rng.integers(1, n + 1))
        elif n > 3 and world.flip(4):
            settings["validation_split"] = 0.25
    return settings


# ----------------------------------------------------------------------------- constructors


NO_OPTION: dict[str, list[Any]] = {
    "input_size": NO_COUNT,
    "hidden_size": [*NO_COUNT, 10**12],
    "output_size": [*NO_COUNT, 10**12],
    "num_layers": NO_COUNT,
    "bidirectional": NO_FLAG,
    "dropout": [1, 1.5, *without(NO_RATE, -1)],
    "return_sequences": NO_FLAG,
    "learn_initial_state": NO_FLAG,
    "embedding_size": without(NO_COUNT, None),
    "loss": ["hinge", 3, None, b"bce", ["bce"]],
    "dtype": ["float16", "f2", int, "x", None, object, ">f4 ", 3],
    "seed": [-1, "x", 1.5, [-1], object()],
    "learning_rate": NO_RATE,
    "nonlinearity": ["sigmoid", None, 3],
    "reset_after": NO_FLAG,
    "peepholes": NO_FLAG,
    "forget_bias": [NAN, INF, "x", 3j, HUGE],
    "hidden": [3],
}


def flawed_option(world: World) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return an argument of a constructor that must be refused, and the words for its message."""
    cell = world.net.cell.partition("_")[0]
    others = {"nonlinearity": ("tanh", "relu"), "reset_after": ("gru",), "peepholes": ("lstm",)}
    others |= {"forget_bias": ("lstm",)}
    name = world.pick([n for n in NO_OPTION if cell in others.get(n, (cell,))])
    return {name: world.pick(NO_OPTION[name])}, (name,)


#: makers of small objects, each with arguments that must be refused
SMALL: list[tuple[Any, str, list[Any]]] = [
    (rf.SGD, "momentum", [1, *NO_RATE]),
    (rf.SGD, "weight_decay", NO_RATE),
    (rf.SGD, "nesterov", NO_FLAG),
    (rf.RMSprop, "alpha", [1, *NO_RATE]),
    (rf.RMSprop, "epsilon", [0, *NO_RATE]),
    (rf.RMSprop, "centered", NO_FLAG),
    (rf.Adam, "beta1", [1, *NO_RATE]),
    (rf.Adam, "beta2", [1, *NO_RATE]),
    (rf.AdamW, "weight_decay", NO_RATE),
    (rf.Adagrad, "lr_decay", NO_RATE),
    (rf.EarlyStopping, "patience", NO_COUNT),
    (rf.EarlyStopping, "min_delta", NO_RATE),
    (rf.EarlyStopping, "restore_best", NO_FLAG),
    (rf.Step, "every", NO_COUNT),
    (rf.Step, "factor", [0, *NO_RATE]),
    (rf.Exponential, "factor", [0, *NO_RATE]),
    (rf.Cosine, "end", [1.5, *NO_RATE]),
    (rf.ReduceOnPlateau, "factor", [0, 1, *NO_RATE]),
    (rf.ReduceOnPlateau, "patience", without(NO_COUNT, 0)),
    (rf.ReduceOnPlateau, "threshold", [1, *NO_RATE]),
    (rf.WarmUp, "epochs", [0, *NO_RATE]),
    (rf.WarmUp, "then", ["linear", 3, rf.Cosine]),
    (rf.tasks.SignOfSum, "steps", NO_COUNT),
    (rf.tasks.SignOfSum, "features", NO_COUNT),
    (rf.tasks.Adding, "steps", [1, *NO_COUNT]),
    (rf.tasks.Copying, "delay", NO_COUNT),
    (rf.tasks.Copying, "length", NO_COUNT),
    (rf.tasks.Copying, "letters", NO_COUNT),
    (rf.tasks.TemporalOrder, "steps", [9, *NO_COUNT]),
]
