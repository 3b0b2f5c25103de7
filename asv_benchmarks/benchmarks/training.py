"""Time of training through `fit`, with all programs compiled: forward, backward and update.

The sizes are the field grid, which users train.  ``time_`` is the plain time.  ``track_`` is the
time divided by the time of the frozen tile kernel (`measure`); the gate compares it.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rnn_fast import GRU, LSTM, SimpleRNN

from . import tile
from .measure import PREPARING, Clock, calibrated
from .turns import Turns


class Size(NamedTuple):
    """A row of the grid, and the number of updates in one sample of the measurement."""

    model: type
    I: int
    H: int
    T: int
    B: int
    updates: int
    options: dict[str, Any]


EACH_STEP = {"return_sequences": True}
FIELD = {
    "cognitive": Size(GRU, 3, 2, 150, 100, 8, {}),
    "hydrology": Size(LSTM, 5, 10, 365, 256, 1, {}),
    "neuro": Size(SimpleRNN, 2, 50, 200, 50, 2, EACH_STEP),
    "audio": Size(LSTM, 1, 16, 1000, 50, 1, EACH_STEP),
    "finance": Size(LSTM, 20, 64, 20, 800, 1, {"num_layers": 2}),
    "control": Size(GRU, 32, 64, 64, 32, 2, {}),
    "wide RNN": Size(SimpleRNN, 8, 128, 100, 256, 1, {}),
    "wide LSTM": Size(LSTM, 32, 256, 100, 128, 1, {}),
}
#: networks that the grid leaves out: other cells, other options, odd sizes
OTHERS = {
    "GRU, reset before": Size(GRU, 3, 17, 31, 65, 2, {"reset_after": False}),
    "LSTM, peepholes": Size(LSTM, 3, 17, 31, 65, 2, {"peepholes": True}),
    "relu": Size(SimpleRNN, 3, 17, 31, 65, 4, {"nonlinearity": "relu"}),
    "both directions, dropout": Size(
        LSTM, 3, 17, 31, 33, 2, {"bidirectional": True, "num_layers": 2, "dropout": 0.5}
    ),
    "few samples": Size(SimpleRNN, 3, 33, 31, 7, 8, {}),
}


def data(samples: int, steps: int, features: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences of standard-normal steps, labelled by the sign of their sum."""
    X = np.random.default_rng(0).standard_normal((samples, steps, features))
    return X.astype(dtype), (X.sum((1, 2)) > 0).astype(np.int64)


class _Training:
    """An epoch of some updates, with the model compiled and warmed up."""

    sizes: ClassVar[dict[str, Size]]
    dtype = "float32"
    ragged = False
    number, warmup_time = 1, 0.0  # warmed in `setup`
    repeat = (5, 50, 2.0)
    timeout = 120
    unit = tile.UNIT

    def setup(self, size: str) -> None:
        model, I, H, T, B, updates, options = self.sizes[size]
        X, y = data(updates * B, T, I, self.dtype)
        if options.get("return_sequences"):
            y = (X.sum(2).cumsum(1) > 0).astype(np.int64)
        self.model = model(I, H, dtype=self.dtype, seed=0, **options)
        self.fit: dict[str, Any] = {"X": X, "y": y, "batch_size": B}
        if self.ragged:
            self.fit["lengths"] = np.random.default_rng(0).integers(1, T + 1, len(X))
        self.epoch()

    def epoch(self, times: int = 1) -> None:
        self.model.fit(**self.fit, epochs=times, shuffle=False, verbose=False)

    def time_epoch(self, size: str) -> None:
        self.epoch()

    def track_epoch(self, size: str) -> float:
        return calibrated(self.epoch, budget=0.3)


class Field(_Training):
    """Rows of the field grid."""

    sizes = FIELD
    params = tuple(sizes)
    param_names = ("size",)


class Double(_Training):
    """One row of each cell from the field grid, in float64."""

    sizes: ClassVar = {name: FIELD[name] for name in ("cognitive", "hydrology", "neuro")}
    params = tuple(sizes)
    param_names = ("size",)
    dtype = "float64"


class Others(_Training):
    """Other cells and networks, at odd sizes."""

    sizes = OTHERS
    params = tuple(sizes)
    param_names = ("size",)


class Ragged(_Training):
    """Sequences with lengths uniform from 1 to T."""

    sizes: ClassVar = {name: FIELD[name] for name in ("hydrology", "control")}
    params = tuple(sizes)
    param_names = ("size",)
    ragged = True


class Tutorial(_Training):
    """1000 sequences of 10 steps, hidden 32, SGD on one at a time: 1000 updates an epoch."""

    sizes: ClassVar = {"tutorial": Size(SimpleRNN, 1, 32, 10, 1, 1000, {})}
    params = ("float32", "float64")
    param_names = ("dtype",)

    def setup(self, dtype: str) -> None:
        self.dtype = dtype
        super().setup("tutorial")


class Online:
    """`forward` and `backward` of one tutorial sequence, as in a user's training loop."""

    timeout = 60
    unit = tile.UNIT

    def setup(self) -> None:
        X, self.y = data(64, 10, 1, "float64")
        self.X = list(X)
        self.model = SimpleRNN(1, 32, seed=0)
        self.step()

    def step(self, times: int = 1) -> None:
        for i in range(times):
            self.model.forward(self.X[i % 64])
            self.model.backward(self.y[i % 64])

    def track_step(self) -> float:
        return calibrated(self.step)


class Small(_Training):
    """Few sequences at a time: 10 steps, one feature, batches of 1 and 8."""

    sizes: ClassVar = {
        f"{model.__name__} H{H} B{B}": Size(model, 1, H, 10, B, 1000 // B, {})
        for model in (LSTM, GRU)
        for H in (32, 64)
        for B in (1, 8)
    }
    params = tuple(sizes)
    param_names = ("size",)


class Stream:
    """One step of a stream a call, and 4096 steps a call."""

    timeout = 60
    unit = tile.UNIT
    sizes: ClassVar = {
        "LSTM 16": (LSTM, 1, 16),
        "GRU 64": (GRU, 32, 64),
        "LSTM 128": (LSTM, 8, 128),
    }
    params = tuple(sizes)
    param_names = ("size",)

    def setup(self, size: str) -> None:
        model, I, H = self.sizes[size]
        X, _ = data(1, 4096, I, "float32")
        self.X, self.x = X[0], X[0, 0]
        network = model(I, H, return_sequences=True, seed=0)
        self.stream = network.stream(output="decision_function")

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.stream.step(self.x)

    def run(self, times: int = 1) -> None:
        for _ in range(times):
            self.stream.run(self.X)

    def track_step(self, size: str) -> float:
        return calibrated(self.step)

    def track_run(self, size: str) -> float:
        return calibrated(self.run, budget=0.3)


class Predict:
    """`predict` of 256 sequences."""

    timeout = 60
    unit = tile.UNIT
    params = ("hydrology", "control")
    param_names = ("size",)

    def setup(self, size: str) -> None:
        model, I, H, T, *_ = FIELD[size]
        self.X, _ = data(256, T, I, "float32")
        self.model = model(I, H, seed=0)
        self.predict()

    def predict(self, times: int = 1) -> None:
        for _ in range(times):
            self.model.predict(self.X)

    def track_predict(self, size: str) -> float:
        return calibrated(self.predict)


class Vanishing:
    """Time with gradients that fade into denormals / time with gradients that do not."""

    params = ("float32", "float64")
    param_names = ("dtype",)
    unit = "times as long"
    timeout = 60

    def setup(self, dtype: str) -> None:
        self.X, self.y = data(50, 200, 2, dtype)
        self.models = []
        for scale in (1.0, 0.01):
            model = SimpleRNN(2, 50, dtype=dtype, seed=0)
            model.Whh = scale * model.Whh
            self.models.append(model)
        self.ratio()

    def ratio(self) -> float:
        clock = Clock()
        seconds = []
        for model in self.models:
            start = clock()
            model.loss_and_gradients(self.X, self.y)
            seconds.append(clock() - start)
        return seconds[1] / seconds[0]

    def track_cost(self, dtype: str) -> float:
        if PREPARING:
            return math.inf
        ratios = []
        with Turns() as turns:
            for _ in range(25):
                turns.take()
                ratios.append(self.ratio())
        return float(np.median(ratios))
