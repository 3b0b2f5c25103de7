"""Classic problems with a long memory, as sources of fresh sequences.

A task draws as many sequences as it is asked for, and says what network they are for::

    task = tasks.Adding(steps=100)
    X, y = task.draw(32_000, seed=0)
    model = LSTM(hidden_size=8, **task.network)
    model.fit_stream(task.batches(32, seed=0), steps_per_epoch=1000, epochs=5)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import validation

if TYPE_CHECKING:
    from .validation import Seed


class Task:
    """Common parts of all tasks."""

    def draw(self, n: int, seed: Seed = None) -> tuple[np.ndarray, np.ndarray]:
        """Return n sequences X, and y."""
        raise NotImplementedError

    def batches(self, n: int, seed: Seed = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Draw n fresh sequences at a time, without end, for `Model.fit_stream`."""
        validation.whole("n", n)
        return self._draw_on(n, validation.generator(seed))

    def _draw_on(self, n: int, generator: np.random.Generator) -> Iterator[Any]:
        while True:
            yield self.draw(n, generator)


@dataclass(frozen=True)
class SignOfSum(Task):
    """Is the sum of all steps positive?  They are standard-normal numbers.

    Parameters
    ----------
    steps : int
        T.
    features : int
        I.
    """

    steps: int = 10
    features: int = 1

    def __post_init__(self) -> None:
        validation.whole("steps", self.steps)
        validation.whole("features", self.features)

    @property
    def network(self) -> dict[str, Any]:
        """Arguments of a model for it."""
        return {"input_size": self.features, "output_size": 1, "loss": "bce"}

    def draw(self, n: int, seed: Seed = None) -> tuple[np.ndarray, np.ndarray]:
        """Return X (n, T, I), float64, and y (n,), 0 or 1."""
        shape = (validation.whole("n", n, least=0), self.steps, self.features)
        X = validation.generator(seed).standard_normal(shape)
        return X, (X.sum((1, 2)) > 0).astype(np.int64)


@dataclass(frozen=True)
class Adding(Task):
    """The sum of the two marked values (Hochreiter and Schmidhuber, 1997).

    Values are uniform in [0, 1); one step of each half is marked.  Who always says 1 has a mean
    squared error of 1/6.

    Parameters
    ----------
    steps : int
        T, at least 2.
    """

    steps: int = 100

    def __post_init__(self) -> None:
        validation.whole("steps", self.steps, least=2)

    @property
    def network(self) -> dict[str, Any]:
        """Arguments of a model for it."""
        return {"input_size": 2, "output_size": 1, "loss": "mse"}

    def draw(self, n: int, seed: Seed = None) -> tuple[np.ndarray, np.ndarray]:
        """Return X (n, T, 2), values and marks, and y (n,), both float32."""
        n, T = validation.whole("n", n, least=0), self.steps
        generator = validation.generator(seed)
        X, each = np.zeros((n, T, 2), np.float32), np.arange(n)
        X[:, :, 0] = generator.random((n, T), np.float32)
        X[each, generator.integers(0, T // 2, n), 1] = 1
        X[each, generator.integers(T // 2, T, n), 1] = 1
        return X, (X[:, :, 0] * X[:, :, 1]).sum(axis=1)


@dataclass(frozen=True)
class Copying(Task):
    """Say a word again after a delay (Hochreiter and Schmidhuber, 1997; Arjovsky et al., 2016).

    The word's letters, blanks, a mark, then blanks for as long as the word is; the answers are
    blanks, and the word at the end.

    Parameters
    ----------
    delay : int
        Steps from the end of the word to where it is to be said, the mark's included.
    length : int
        Letters of the word.
    letters : int
        Of the alphabet: 1 .. letters.  0 is the blank, letters + 1 the mark.
    """

    delay: int = 100
    length: int = 10
    letters: int = 8

    def __post_init__(self) -> None:
        for name in ("delay", "length", "letters"):
            validation.whole(name, getattr(self, name))

    @property
    def network(self) -> dict[str, Any]:
        """Arguments of a model for it."""
        return {
            "input_size": self.letters + 2,
            "output_size": self.letters + 1,
            "embedding_size": self.letters + 2,
            "return_sequences": True,
            "loss": "cross_entropy",
        }

    def draw(self, n: int, seed: Seed = None) -> tuple[np.ndarray, np.ndarray]:
        """Return X and y, (n, delay + 2 length) integers."""
        n = validation.whole("n", n, least=0)
        word = validation.generator(seed).integers(1, self.letters + 1, (n, self.length))
        X = np.zeros((n, self.delay + 2 * self.length), np.int64)
        y = np.zeros_like(X)
        X[:, : self.length] = y[:, -self.length :] = word
        X[:, self.length + self.delay - 1] = self.letters + 1
        return X, y


@dataclass(frozen=True)
class TemporalOrder(Task):
    """Tell in what order two symbols came (Hochreiter and Schmidhuber, 1997, task 6a).

    Each is A or B, the first in the second tenth of the sequence, the other in the sixth; four
    other symbols fill the rest at random.  The classes are AA, AB, BA, BB.

    Parameters
    ----------
    steps : int
        T, at least 10.
    """

    steps: int = 100

    def __post_init__(self) -> None:
        validation.whole("steps", self.steps, least=10)

    @property
    def network(self) -> dict[str, Any]:
        """Arguments of a model for it."""
        return {"input_size": 6, "output_size": 4, "embedding_size": 6, "loss": "cross_entropy"}

    def draw(self, n: int, seed: Seed = None) -> tuple[np.ndarray, np.ndarray]:
        """Return X (n, T) integers, A being 0 and B 1, and y (n,), 0 .. 3."""
        each = np.arange(validation.whole("n", n, least=0))
        generator, tenth = validation.generator(seed), self.steps // 10
        X = generator.integers(2, 6, (n, self.steps))
        symbols = generator.integers(0, 2, (2, n))
        for start, own in zip((tenth, 5 * tenth), symbols, strict=True):
            X[each, start + generator.integers(0, tenth, n)] = own
        return X, 2 * symbols[0] + symbols[1]
