"""What a training run did, epoch by epoch, and how it is shown while it runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .extras import extra

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass
class History:
    """One entry per finished epoch in each list.

    Attributes
    ----------
    loss : list of float
        Mean loss of the epoch's samples, each seen before the update that it brought about.
    accuracy : list of float or None
        Share of them that were classified right; None for a regression.
    penalty : list of float or None
        What l1 and l2 add to the loss, the mean over the epoch's updates; None without them.  What
        is descended is the gradient of the sum.
    mse, r2 : list of float or None
        Mean squared error of a regression, and 1 minus its share in the variance of the targets,
        over all outputs; None for a classifier.
    val_loss, val_accuracy, val_mse, val_r2 : list of float or None
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
    mse: list[float] | None = None
    r2: list[float] | None = None
    penalty: list[float] | None = None
    val_loss: list[float] | None = None
    val_accuracy: list[float] | None = None
    val_mse: list[float] | None = None
    val_r2: list[float] | None = None
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    sequences_per_second: list[float] = field(default_factory=list)

    @classmethod
    def begin(cls, classifies: bool, validates: bool, penalizes: bool = False) -> History:
        """Make a history without epochs, of which some measures will be kept."""
        own = ("accuracy",) if classifies else ("mse", "r2")
        held_out = tuple(f"val_{name}" for name in ("loss", *own)) if validates else ()
        kept = (*own, *held_out, *(("penalty",) if penalizes else ()))
        return cls(**{name: [] for name in kept})

    def __len__(self) -> int:
        return len(self.loss)

    def append(self, **values: float) -> None:
        """Add one epoch; a measure whose list is None is passed over."""
        for name, value in values.items():
            if getattr(self, name) is not None:
                getattr(self, name).append(value)

    def last(self) -> dict[str, float]:
        """Each measure of learning after the last epoch."""
        names = ("loss", "accuracy", "r2", "penalty", "val_loss", "val_accuracy", "val_r2")
        return {name: getattr(self, name)[-1] for name in names if getattr(self, name)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Each measure that was kept, by name: (epochs,) float64."""
        lists = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: np.array(kept, float) for name, kept in lists.items() if kept is not None}

    def to_frame(self) -> pd.DataFrame:
        """Return the same as a pandas data frame, a row for each epoch, counted from 1.

        Raises
        ------
        ImportError
            There is no pandas.
        """
        pandas = extra("pandas", "pandas")
        return pandas.DataFrame(
            self.arrays(), index=pandas.RangeIndex(1, len(self) + 1, name="epoch")
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the losses over the epochs, and on a second axis the accuracies, or R2.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; on a new figure without.

        Returns
        -------
        matplotlib Axes
            Of the losses.

        Raises
        ------
        ImportError
            There is no Matplotlib.
        """
        if ax is None:
            ax = extra("matplotlib.pyplot", "plot").subplots()[1]
        epochs, kept = range(1, len(self) + 1), self.arrays()
        lines: list[Any] = []
        for measure in ("loss", "accuracy", "r2"):
            if measure not in kept:
                continue
            own = ax if measure == "loss" else ax.twinx()
            own.set_ylabel(measure)
            for name, style in ((measure, "-"), (f"val_{measure}", "--")):
                if name in kept:
                    color = f"C{len(lines)}"
                    lines += own.plot(epochs, kept[name], style, color=color, label=name)
        ax.set_xlabel("epoch")
        ax.legend(handles=lines)
        return ax

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epochs)"
        total = sum(self.seconds)
        speed = len(self) / sum(1 / rate for rate in self.sequences_per_second)
        learned = (f"{n} {getattr(self, n)[0]:.4g} -> {v:.4g}" for n, v in self.last().items())
        epochs = f"{len(self)} epoch{'s' * (len(self) > 1)}"
        return f"History({epochs}, {total:.3g} s, {speed:,.0f} sequences/s: {', '.join(learned)})"


class Progress:
    """Shows nothing; what shows something has the same methods."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def within(self, history: History, share: float | None, loss: float, speed: float) -> None:
        """In an epoch: of which a share is done, if that is known; its loss so far, sequences/s."""

    def epoch(self, history: History) -> None:
        """After an epoch."""


def progress(epochs: int, past: int, verbose: bool | int | None) -> Progress:
    """What shows the progress of a training on stderr, in a ``with`` block.

    Parameters
    ----------
    epochs, past : int
        How many there will be, and how many have been.
    verbose : {None, False, True, 2}
        Nothing, a bar, or a line per epoch; None is a bar where a person looks on, that is in a
        terminal or a notebook.  Without tqdm a bar becomes lines.
    """
    if verbose is None:
        verbose = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    if not verbose:
        return Progress()
    if verbose == 1:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            pass
        else:
            return Bar(tqdm, epochs, past)
    return Lines(epochs)


class Lines(Progress):
    """A line per epoch."""

    def __init__(self, epochs: int):
        self.epochs = epochs

    def epoch(self, history: History) -> None:
        """Print it."""
        done = f"epoch {len(history)}/{self.epochs}"
        print(f"{done}: {_measures(history)}, {_speed(history)}", file=sys.stderr)


class Bar(Progress):
    """A bar that moves within the epochs, with the time that is left."""

    def __init__(self, tqdm: Any, epochs: int, past: int):
        shape = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"
        self.epochs, self._done = epochs, float(past)
        self.bar = tqdm(total=epochs, initial=past, bar_format=shape, desc=self._epoch(past))

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def _epoch(self, past: int) -> str:
        return f"epoch {min(past + 1, self.epochs)}/{self.epochs}"

    def _advance(self, done: float) -> None:
        self.bar.update(done - self._done)
        self._done = done

    def within(self, history: History, share: float | None, loss: float, speed: float) -> None:
        """Move on, with the loss of the epoch so far."""
        said = f"loss {loss:.4g}"
        if (before := history.last()) and "val_loss" in before:
            said += f", val_loss {before['val_loss']:.4g}"
        self.bar.set_postfix_str(f"{said}, {speed:,.0f} sequences/s", refresh=False)
        if share is not None:
            self._advance(len(history) + share)

    def epoch(self, history: History) -> None:
        """Move to the end of the epoch."""
        self.bar.set_postfix_str(f"{_measures(history)}, {_speed(history)}", refresh=False)
        self.bar.set_description_str(self._epoch(len(history)), refresh=False)
        self._advance(len(history))


def _speed(history: History) -> str:
    return f"{history.sequences_per_second[-1]:,.0f} sequences/s"


def _measures(history: History) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in history.last().items())
