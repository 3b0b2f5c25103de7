"""The record of a training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .._optional import extra
from ..validation import shown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


#: None where a measure is not kept; `Any` lets users read it without asking a type checker first
Kept: TypeAlias = list[float] | Any


@dataclass
class History:
    """One entry per finished epoch in each list.

    Attributes
    ----------
    loss : list of float
        Mean loss of the epoch's samples, each measured before its update.
    accuracy : list of float or None
        Share of samples that were classified right; None for a regression.
    penalty : list of float or None
        Terms that l1 and l2 add to the loss, the mean over the epoch's updates; None without them.
        Training descends the gradient of the sum.
    mse, r2 : list of float or None
        Mean squared error of a regression, and 1 minus its share in the variance of the targets,
        over all outputs; None for a classifier.
    val_loss, val_accuracy, val_mse, val_r2 : list of float or None
        The same measures of the validation data after the epoch; None without them.
    learning_rate : list of float
        Step size of the epoch's last update.
    seconds : list of float
        Wall time of training, without validation; of epochs in one compiled call the mean, less the
        share of validation in the last epoch before.  The first epoch of a process includes loading
        the compiled code, or compiling it.
    sequences_per_second : list of float
        Training throughput.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: Kept = None
    mse: Kept = None
    r2: Kept = None
    penalty: Kept = None
    val_loss: Kept = None
    val_accuracy: Kept = None
    val_mse: Kept = None
    val_r2: Kept = None
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    sequences_per_second: list[float] = field(default_factory=list)

    @classmethod
    def begin(cls, classifies: bool, validates: bool, penalizes: bool = False) -> History:
        """Make a history without epochs that will keep some measures."""
        own = ("accuracy",) if classifies else ("mse", "r2")
        held_out = tuple(f"val_{name}" for name in ("loss", *own)) if validates else ()
        kept = (*own, *held_out, *(("penalty",) if penalizes else ()))
        return cls(**{name: [] for name in kept})

    def __len__(self) -> int:
        return len(self.loss)

    def extend(self, columns: Mapping[str, Sequence[float]]) -> None:
        """Add epochs; a measure whose list is None is left out."""
        kept = vars(self)
        for name, values in columns.items():
            if kept[name] is not None:
                kept[name].extend(values)

    def keep(self, epochs: int) -> None:
        """Keep the first `epochs` epochs."""
        for kept in vars(self).values():
            if kept is not None:
                del kept[epochs:]

    def last(self) -> dict[str, float]:
        """Return each measure of learning after the last epoch."""
        names = ("loss", "accuracy", "r2", "penalty", "val_loss", "val_accuracy", "val_r2")
        return {name: getattr(self, name)[-1] for name in names if getattr(self, name)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return each measure that was kept, by name: (epochs,) float64."""
        lists = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: np.array(kept, float) for name, kept in lists.items() if kept is not None}

    def to_frame(self) -> pd.DataFrame:
        """Return the same as a pandas data frame, a row for each epoch, counted from 1.

        Raises
        ------
        ImportError
            pandas is not installed.
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
            Axes to draw on.  Default: a new figure.

        Returns
        -------
        matplotlib Axes
            Axes of the losses.

        Raises
        ------
        ImportError
            Matplotlib is not installed.
        """
        if not (ax is None or hasattr(ax, "twinx")):
            raise TypeError(f"ax must be axes of Matplotlib, or None; got {shown(ax)}")
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
