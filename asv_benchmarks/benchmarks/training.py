"""Training once everything is compiled: the tutorial, the field's sizes, a grid of mini-batches."""

from time import perf_counter
from typing import ClassVar

import numpy as np

from rnn_fast import GRU, LSTM, SimpleRNN


def data(samples: int, steps: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of standard-normal steps, labelled by the sign of their sum."""
    X = np.random.default_rng(0).standard_normal((samples, steps, features))
    return X, (X.sum((1, 2)) > 0).astype(np.int64)


class Tutorial:
    """1000 sequences of 10 steps, hidden 32, 10 epochs of per-sample SGD: 10,000 updates."""

    params = ("float32", "float64")
    param_names = ("dtype",)
    number, warmup_time = 1, 0.0  # a new model each time, warmed in `setup`
    repeat = (5, 30, 5.0)
    timeout = 120

    def setup(self, dtype: str) -> None:
        X, self.y = data(1000, 10, 1)
        self.X = X.astype(dtype)
        self.model = SimpleRNN(1, 32, dtype=dtype, seed=0)
        self.model.fit(self.X[:2], self.y[:2], epochs=1, batch_size=1, verbose=False)

    def time_fit(self, dtype: str) -> None:
        self.model.fit(self.X, self.y, epochs=10, batch_size=1, verbose=False)


class Field:
    """One epoch of four steps, at the sizes that people train."""

    sizes: ClassVar = {
        "cognitive": (GRU, 100, 150, 3, 2, {}),
        "hydrology": (LSTM, 256, 365, 5, 10, {}),
        "audio": (LSTM, 50, 1000, 1, 16, {"return_sequences": True}),
        "neuro": (SimpleRNN, 50, 200, 2, 50, {"return_sequences": True}),
        "control": (GRU, 32, 64, 32, 64, {}),
        "finance": (LSTM, 800, 20, 20, 64, {"num_layers": 2}),
        "wide RNN": (SimpleRNN, 256, 100, 8, 128, {}),
        "wide LSTM": (LSTM, 128, 100, 32, 256, {}),
    }
    params = tuple(sizes)
    param_names = ("size",)
    number, warmup_time = 1, 0.0
    repeat = (5, 50, 3.0)
    timeout = 120
    steps = 4

    def setup(self, size: str) -> None:
        model, B, T, I, H, options = self.sizes[size]
        self.X, y = data(self.steps * B, T, I)
        if options.get("return_sequences"):
            y = (self.X.sum(2).cumsum(1) > 0).astype(np.int64)
        self.X, self.y = self.X.astype(np.float32), y
        self.model = model(I, H, seed=0, **options)
        self.epoch(B)

    def epoch(self, B: int) -> None:
        self.model.fit(self.X, self.y, epochs=1, batch_size=B, shuffle=False, verbose=False)

    def time_four_steps(self, size: str) -> None:
        self.epoch(self.sizes[size][1])


class Ragged:
    """A half-full batch, its lengths uniform from 1 to T, against the same batch padded."""

    params = (32, 64, 256)
    param_names = ("B",)
    unit = "times as long"

    def setup(self, B: int) -> None:
        self.X, self.y = data(4 * B, 100, 8)
        self.X = self.X.astype(np.float32)
        self.lengths = np.random.default_rng(0).integers(1, 101, 4 * B)
        self.model = LSTM(8, 64, seed=0)
        self.ratio(B)

    def ratio(self, B: int) -> float:
        seconds = []
        for lengths in (None, self.lengths):
            start = perf_counter()
            self.model.fit(self.X, self.y, lengths=lengths, epochs=5, batch_size=B, verbose=False)
            seconds.append(perf_counter() - start)
        return seconds[1] / seconds[0]

    def track_cost(self, B: int) -> float:
        return float(np.median([self.ratio(B) for _ in range(7)]))


class MiniBatch:
    """One epoch of four steps, at the sizes on which speed is claimed and at odd ones."""

    sizes: ClassVar = {
        "B32 T50 I8 H32": (32, 50, 8, 32),
        "B256 T50 I8 H32": (256, 50, 8, 32),
        "B32 T50 I8 H64": (32, 50, 8, 64),
        "B256 T50 I8 H64": (256, 50, 8, 64),
        "B256 T100 I8 H128": (256, 100, 8, 128),
        "B128 T100 I32 H256": (128, 100, 32, 256),
        "B50 T200 I2 H50": (50, 200, 2, 50),
        "B64 T50 I3 H10": (64, 50, 3, 10),
        "B64 T50 I1 H5": (64, 50, 1, 5),
        "B7 T31 I3 H17": (7, 31, 3, 17),
    }
    params = (tuple(sizes), ("float32", "float64"))
    param_names = ("size", "dtype")
    number, warmup_time = 1, 0.0
    repeat = (5, 50, 2.0)
    timeout = 120
    steps = 4

    def setup(self, size: str, dtype: str) -> None:
        B, T, I, H = self.sizes[size]
        X, self.y = data(self.steps * B, T, I)
        self.X = X.astype(dtype)
        self.model = SimpleRNN(I, H, dtype=dtype, seed=0)
        self.epoch(B)

    def epoch(self, B: int) -> None:
        self.model.fit(self.X, self.y, epochs=1, batch_size=B, shuffle=False, verbose=False)

    def time_four_steps(self, size: str, dtype: str) -> None:
        self.epoch(self.sizes[size][0])


class Vanishing:
    """Gradients that fade into denormals on their way back, against ones that do not."""

    params = ("float32", "float64")
    param_names = ("dtype",)
    unit = "times as long"

    def setup(self, dtype: str) -> None:
        X, self.y = data(128, 200, 2)
        self.X = X.astype(dtype)
        self.models = []
        for scale in (1.0, 0.01):
            model = SimpleRNN(2, 64, dtype=dtype, seed=0)
            model.Whh = scale * model.Whh
            self.models.append(model)
        self.ratio()

    def ratio(self) -> float:
        seconds = []
        for model in self.models:
            start = perf_counter()
            model.loss_and_gradients(self.X, self.y)
            seconds.append(perf_counter() - start)
        return seconds[1] / seconds[0]

    def track_cost(self, dtype: str) -> float:
        return float(np.median([self.ratio() for _ in range(15)]))
