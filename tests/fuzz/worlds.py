"""A random model, random data that fit it, and what the textbook says of both.

Everything is drawn from one integer.  Numbers are multiples of 1/64, so that every dtype of a
drawn array holds the same numbers.
"""

from __future__ import annotations

import random
from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import reference

import rnn_fast
from rnn_fast.jit import vector_registers
from rnn_fast.losses import LOSSES
from rnn_fast.optimizers import OPTIMIZERS
from rnn_fast.tuning import TUNING

MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "tanh": (rnn_fast.SimpleRNN, {"nonlinearity": "tanh"}),
    "relu": (rnn_fast.SimpleRNN, {"nonlinearity": "relu"}),
    "gru": (rnn_fast.GRU, {"reset_after": True}),
    "gru_before": (rnn_fast.GRU, {"reset_after": False}),
    "lstm": (rnn_fast.LSTM, {"peepholes": False}),
    "lstm_peephole": (rnn_fast.LSTM, {"peepholes": True}),
}


# ------------------------------------------------------------------------------- programs


class Programs(NamedTuple):
    """What the cases of a block of seeds may compile: a cell, a dtype, a tile, an optimizer."""

    cell: str
    dtype: str
    tile: int
    optimizer: str


BLOCK = 400  #: seeds that share their programs
#: programs that other tests compile as well
CORE = [
    *(Programs(cell, "float64", 0, "sgd") for cell in MODELS),
    *(Programs(cell, "float32", 0, "sgd") for cell in ("tanh", "gru", "lstm")),
]


def _all_programs() -> list[Programs]:
    tiles = range(len(TUNING.tiles[vector_registers()]))
    every = [Programs(*p) for p in product(MODELS, ("float64", "float32"), tiles, OPTIMIZERS)]
    rest = [each for each in every if each not in CORE]
    random.Random(0).shuffle(rest)
    return CORE + rest


PROGRAMS = _all_programs()


def programs_of(seed: int) -> Programs:
    """Return what the case of a seed may compile."""
    return PROGRAMS[seed // BLOCK % len(PROGRAMS)]


# ----------------------------------------------------------------------------------- data


def numbers(rng: np.random.Generator, shape: Any, scale: float = 1.0) -> np.ndarray:
    """Draw normal numbers, rounded to multiples of 1/64."""
    return np.round(rng.standard_normal(shape) * scale * 64) / 64


class Problem:
    """N sequences with targets and all that may go with them, in plain arrays.

    Attributes
    ----------
    arguments : dict
        As `fit` takes them.
    sequences, targets, weights, state
        The same as `reference.run` takes them.
    """

    def __init__(self, rng: np.random.Generator, net: Any, size: int):
        self.net, self.steps = net, 0
        T = int(rng.integers(1, max(2, min(41, size // net.runs + 1))))
        N = int(rng.integers(1, max(2, min(41, size // (T * net.runs) + 1))))
        self.N, self.T, self.is_list = N, T, bool(rng.integers(4) == 0)
        ragged = bool(rng.integers(2))
        lengths = rng.integers(1, T + 1, N) if ragged else np.full(N, T)
        self.lengths = lengths.astype(np.int64)
        self.inside = np.arange(T) < lengths[:, None]
        X = rng.integers(0, net.input_size, (N, T))
        if not net.embedding:
            X = numbers(rng, (N, T, net.input_size))
        self.arguments: dict[str, Any] = {"X": X, "y": self._draw_targets(rng)}
        self._draw_weights(rng)
        self._draw_state(rng)
        self._make_oracle()
        if self.is_list:
            self._make_lists()
        elif ragged:
            self.arguments["lengths"] = self.lengths.copy()
            self._spoil_padding(rng)

    def _draw_targets(self, rng: np.random.Generator) -> np.ndarray:
        net = self.net
        shape = (self.N, self.T) if net.sequences else (self.N,)
        if LOSSES[net.loss].takes_classes:
            return rng.integers(0, net.output_size, shape)
        shape = (*shape, net.output_size)
        if LOSSES[net.loss].bounds:
            y = (
                rng.integers(0, 65, shape) / 64
                if rng.integers(3) == 0
                else rng.integers(0, 2, shape)
            )
        else:
            y = numbers(rng, shape)
        return y[..., 0] if net.output_size == 1 and rng.integers(2) else y

    def _draw_weights(self, rng: np.random.Generator) -> None:
        net, counts = self.net, self.inside.copy()
        if net.sequences and rng.integers(4) == 0:
            mask = rng.random((self.N, self.T)) < 0.7
            mask[0, 0] = True
            self.arguments["mask"], counts = mask, counts & mask
        self.counts = counts
        if rng.integers(3) == 0:
            steps = net.sequences and bool(rng.integers(2))
            weights = rng.integers(0, 129, (self.N, self.T) if steps else self.N) / 64
            weights.flat[0] = 1.0
            self.arguments["sample_weight"] = weights
        n = LOSSES[net.loss].n_classes(net.output_size)
        if n is not None and rng.integers(4) == 0:
            chosen: Any = {int(c): float(rng.integers(1, 129) / 64) for c in range(n)}
            if rng.integers(2):
                chosen.popitem()  # the others weigh 1
            self.arguments["class_weight"] = chosen if rng.integers(3) and chosen else "balanced"

    def _draw_state(self, rng: np.random.Generator) -> None:
        net, self.state = self.net, None
        if net.learned_state or rng.integers(4):
            return
        parts = numbers(rng, (net.states, net.runs, self.N, net.hidden_size), 0.5)
        self.arguments["initial_state"] = tuple(parts) if net.states == 2 else parts[0]
        self.state = parts.transpose(2, 0, 1, 3)

    def _make_oracle(self) -> None:
        """Sequences, targets and weights as the textbook takes them."""
        net, given = self.net, self.arguments
        self.sequences = [x[:n] for x, n in zip(given["X"].copy(), self.lengths, strict=True)]
        y = given["y"].astype(np.int64 if LOSSES[net.loss].takes_classes else float)
        if not LOSSES[net.loss].takes_classes:
            y = y.reshape(*y.shape[: 1 + net.sequences], net.output_size)
        self.targets = (
            [t[:n] for t, n in zip(y, self.lengths, strict=True)] if net.sequences else [*y]
        )
        full = self.weigh(given.get("sample_weight"), given.get("class_weight"))
        plain = not {"sample_weight", "class_weight", "mask"} & {*given}
        self.weights = None if plain else self.split(full)
        without = self.weigh(given.get("sample_weight"), None)
        is_plain = not {"sample_weight", "mask"} & {*given}
        self.measure_weights = None if is_plain else self.split(without)

    def split(self, full: np.ndarray) -> list[Any]:
        """Weights (N, T) as a list of those of each sequence, or (N,) as they are."""
        if not self.net.sequences:
            return [*full]
        return [w[:n] for w, n in zip(full, self.lengths, strict=True)]

    def weigh(self, sample_weight: Any, class_weight: Any) -> np.ndarray:
        """Weights of all steps (N, T), or of the sequences (N,)."""
        net = self.net
        full = np.ones((self.N, self.T) if net.sequences else self.N)
        if sample_weight is not None:
            full *= sample_weight.reshape(self.N, -1) if net.sequences else sample_weight
        if class_weight is not None:
            y = self.arguments["y"]
            y = y.reshape(full.shape)
            labels = y if LOSSES[net.loss].takes_classes else (y > 0.5).astype(np.int64)
            if class_weight == "balanced":
                values, n = np.unique(
                    labels[self.counts] if net.sequences else labels, return_counts=True
                )
                class_weight = dict(zip(values.tolist(), n.sum() / (len(n) * n), strict=True))
                full *= np.vectorize(lambda c: class_weight.get(c, 0.0), otypes=[float])(labels)
            else:
                full *= np.vectorize(lambda c: class_weight.get(c, 1.0), otypes=[float])(labels)
        return full * self.counts if net.sequences else full

    def _make_lists(self) -> None:
        """Turn padded arrays into lists of sequences."""
        per_step = ["X", *(("y", "mask", "sample_weight") if self.net.sequences else ())]
        for name in per_step:
            value = self.arguments.get(name)
            if value is not None and value.ndim > 1:
                self.arguments[name] = [
                    v[:n].copy() for v, n in zip(value, self.lengths, strict=True)
                ]

    def _spoil_padding(self, rng: np.random.Generator) -> None:
        """Write anything into the padding, which must not matter."""
        outside, net = ~self.inside, self.net
        rubbish = [np.nan, np.inf, -1e30, 0.0][rng.integers(4)]
        self.arguments["X"][outside] = -7 if net.embedding else rubbish
        y = self.arguments["y"]
        if net.sequences:
            y[~self.counts] = -7 if y.dtype.kind == "i" else rubbish
            if (weights := self.arguments.get("sample_weight")) is not None and weights.ndim == 2:
                weights[~self.counts] = rubbish

    def data(self, *names: str) -> dict[str, Any]:
        """Return fresh copies of some arguments, all for none."""
        chosen = names or (*self.arguments,)
        return {k: copied(v) for k, v in self.arguments.items() if k in chosen}


def copied(value: Any) -> Any:
    """A copy of an argument, down to its arrays."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(copied(v) for v in value)
    return dict(value) if isinstance(value, dict) else value


# ---------------------------------------------------------------------------------- models


def draw_options(rng: np.random.Generator, programs: Programs) -> dict[str, Any]:
    """Draw valid arguments of a model."""
    loss = str(rng.choice(reference.LOSSES[:5]))  # of one logit an output, and bounded slopes
    options: dict[str, Any] = {
        **MODELS[programs.cell][1],
        "input_size": int(rng.integers(1, 10)),
        "hidden_size": int(rng.integers(1, [5, 20, 71][rng.integers(3)])),
        "output_size": int(rng.integers(2 if LOSSES[loss].takes_classes else 1, 6)),
        "loss": loss,
        "dtype": programs.dtype,
        "learning_rate": float(rng.integers(1, 9) / 64),
    }
    if not LOSSES[loss].takes_classes and rng.integers(2):
        options["output_size"] = 1
    if rng.integers(5) < 2:  # plain ones have a driver of their own
        return options
    return options | {
        "num_layers": int(rng.integers(1, 4)),
        "bidirectional": bool(rng.integers(2)),
        "dropout": float(rng.integers(0, 2) * rng.integers(1, 60) / 64),
        "return_sequences": bool(rng.integers(2)),
        "learn_initial_state": bool(rng.integers(2)),
        "embedding_size": int(rng.integers(1, 10)) if rng.integers(2) else None,
    }


def described(model: Any) -> SimpleNamespace:
    """Return the fields that the textbook reads of a model."""
    kind, cell = type(model).__name__, ""
    for name, (cls, options) in MODELS.items():
        if cls.__name__ == kind and all(getattr(model, k) == v for k, v in options.items()):
            cell = name
    directions = 1 + model.bidirectional
    return SimpleNamespace(
        cell=cell,
        input_size=model.input_size,
        hidden_size=model.hidden_size,
        output_size=model.output_size,
        loss=model.loss,
        layers=model.num_layers,
        directions=directions,
        runs=model.num_layers * directions,
        states=reference.CELLS[cell].states,
        sequences=model.return_sequences,
        embedding=model.embedding_size or 0,
        learned_state=model.learn_initial_state,
    )
