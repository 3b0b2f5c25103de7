"""What a training run did, epoch by epoch, and how it is shown while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any


@dataclass
class History:
    """One entry per finished epoch in each list.

    Attributes
    ----------
    loss : list of float
        Mean loss of the epoch's samples, each seen before the update that it brought about.
    accuracy : list of float or None
        Share of them that were classified right; None for a regression.
    val_loss, val_accuracy : list of float or None
        The same of the validation data after the epoch; None without them.
    learning_rate : list of float
        Step size of the epoch's last update.
    seconds : list of float
        Wall time of training, without validation.  The first epoch of a process includes loading
        the compiled code, or compiling it.
    sequences_per_second : list of float
        Training throughput.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] | None = None
    val_loss: list[float] | None = None
    val_accuracy: list[float] | None = None
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    sequences_per_second: list[float] = field(default_factory=list)

    @classmethod
    def begin(cls, classifies: bool, validates: bool) -> History:
        """Make a history without epochs, of which some measures will be kept."""
        return cls(
            accuracy=[] if classifies else None,
            val_loss=[] if validates else None,
            val_accuracy=[] if classifies and validates else None,
        )

    def __len__(self) -> int:
        return len(self.loss)

    def append(self, **values: float) -> None:
        """Add one epoch; a measure whose list is None is passed over."""
        for name, value in values.items():
            if getattr(self, name) is not None:
                getattr(self, name).append(value)

    def last(self) -> dict[str, float]:
        """Each measure of learning after the last epoch."""
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        return {name: getattr(self, name)[-1] for name in names if getattr(self, name)}

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epochs)"
        total = sum(self.seconds)
        speed = len(self) / sum(1 / rate for rate in self.sequences_per_second)
        learned = (f"{n} {getattr(self, n)[0]:.4g} -> {v:.4g}" for n, v in self.last().items())
        epochs = f"{len(self)} epoch{'s' * (len(self) > 1)}"
        return f"History({epochs}, {total:.3g} s, {speed:,.0f} sequences/s: {', '.join(learned)})"


@contextmanager
def progress(epochs: int, verbose: bool | int | None) -> Iterator[Callable[[History], None]]:
    """Give a function to call after each epoch, which shows the last one of a history on stderr.

    Parameters
    ----------
    epochs : int
        How many there will be.
    verbose : {None, False, True, 2}
        Nothing, a bar, or a line per epoch; None is a bar where a person looks on, that is in a
        terminal or a notebook.  Without tqdm a bar becomes lines.
    """
    if verbose is None:
        verbose = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    if not verbose:
        yield lambda history: None
        return
    bar = _bar(epochs) if verbose == 1 else None
    if bar is None:
        yield partial(_print_line, epochs)
        return
    with bar:
        yield partial(_advance, bar)


def _bar(epochs: int) -> Any:
    """Make a progress bar, or None without tqdm."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=epochs, unit="epoch")


def _advance(bar: Any, history: History) -> None:
    bar.set_postfix_str(_measures(history), refresh=False)
    bar.update()


def _print_line(epochs: int, history: History) -> None:
    speed = f"{history.sequences_per_second[-1]:,.0f} sequences/s"
    print(f"epoch {len(history)}/{epochs}: {_measures(history)}, {speed}", file=sys.stderr)


def _measures(history: History) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in history.last().items())
