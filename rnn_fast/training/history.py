"""The record of a training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .._optional import extra
from ..losses.loss import SIGNS
from ..validation import shown
from .markup import curve, table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


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

    def plot(self, figure: Figure | SubFigure | None = None) -> list[Axes]:
        """Draw the measures over the epochs: the loss, and the accuracy or R2.

        Each has axes and a color of its own; of the validation data it is dashed.  A dotted line
        marks the epoch of the least loss, of the validation data if there are any.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, optional
            Figure to draw in.  Default: a new one.

        Returns
        -------
        list of matplotlib Axes
            Axes of the measures, from the top.

        Raises
        ------
        ImportError
            Matplotlib is not installed.
        """
        if not (figure is None or hasattr(figure, "subplots")):
            raise TypeError(f"figure must be a figure of Matplotlib, or None; got {shown(figure)}")
        if figure is None:
            figure = extra("matplotlib.pyplot", "plot").figure(layout="constrained")
        kept, epochs = self.arrays(), range(1, len(self) + 1)
        measures = [name for name in ("loss", "accuracy", "r2") if name in kept]
        axes = list(figure.subplots(len(measures), sharex=True, squeeze=False)[:, 0])
        best = self._best("val_loss" if "val_loss" in kept else "loss")
        for k, (ax, measure) in enumerate(zip(axes, measures, strict=True)):
            ax.set_ylabel(measure)
            lines = (("training", measure, "-"), ("validation", f"val_{measure}", "--"))
            for label, name, style in lines:
                if name in kept:
                    ax.plot(epochs, kept[name], style, color=f"C{k}", label=label)
                    if best:
                        ax.plot(best, kept[name][best - 1], "o", color=f"C{k}", markersize=4)
            if best:
                ax.axvline(best, color="gray", linestyle=":", label=f"best epoch: {best}")
        axes[-1].set_xlabel("epoch")
        axes[-1].locator_params("x", integer=True)
        axes[0].legend(loc="upper left", bbox_to_anchor=(1, 1))
        return axes

    def _best(self, name: str) -> int | None:
        """Return the epoch, from 1, of the best value of a measure; None: no value is a number."""
        values = SIGNS.get(name.removeprefix("val_"), 1.0) * self.arrays()[name]
        return None if np.isnan(values).all() else int(np.nanargmin(values)) + 1

    def _effort(self) -> str:
        """Return the epochs, the time and the speed."""
        if not self.loss:
            return "no epochs"
        total = sum(self.seconds)
        speed = len(self) / sum(1 / rate for rate in self.sequences_per_second)
        epochs = f"{len(self)} epoch{'s' * (len(self) > 1)}"
        return f"{epochs}, {total:.3g} s, {speed:,.0f} sequences/s"

    def _repr_html_(self) -> str:
        rows = []
        for name, last in self.last().items():
            values, best = getattr(self, name), self._best(name)
            told = f"{values[best - 1]:.4g} in epoch {best}" if best else ""
            line = curve(values, dashed=name.startswith("val_"))
            rows.append((name, f"{values[0]:.4g}", f"{last:.4g}", told, line))
        return table(f"History: {self._effort()}", ("measure", "first", "last", "best", ""), rows)

    def __repr__(self) -> str:
        if not self.loss:
            return f"History({self._effort()})"
        learned = (f"{n} {getattr(self, n)[0]:.4g} -> {v:.4g}" for n, v in self.last().items())
        return f"History({self._effort()}: {', '.join(learned)})"
