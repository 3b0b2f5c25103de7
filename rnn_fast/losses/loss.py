"""The declaration of a loss: what its logits mean, and the names of its compiled maths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from ..validation import Registry, hint, shown
from .plain import Formula

Function = Callable[[np.ndarray], np.ndarray]
#: keys of `LOSSES` without those that a script adds
LossName = Literal[
    "bce",
    "cross_entropy",
    "mse",
    "huber",
    "mae",
    "linear",
    "poisson",
    "quantile",
    "gaussian",
]
#: 1.0 for a measure of which less is better, -1.0 where more is
SIGNS = {"loss": 1.0, "accuracy": -1.0, "mse": 1.0, "r2": -1.0}


class LossOption(NamedTuple):
    """A real number that a loss's kernel reads, or several."""

    name: str
    default: Any  #: as `check` returns it
    check: Callable[[str, Any], Any]  #: returns a checked float, or a tuple of floats


class LossNumbers(NamedTuple):
    """First numbers of the array that the program of a loss reads; the loss's options follow."""

    outputs: float  #: logits that one call of the loss's kernel takes: all, or those of one value
    skips: float  #: 1: a target that is NaN does not count
    labels: float  #: 1: a prediction is right if all its labels are


@dataclass(frozen=True, eq=False)  # each is declared once; equal means the same
class Loss:
    """A loss of logits (N, O) and targets (N, Y).

    Y = 1 for class indices.  Otherwise each target is a value with one logit or several: the
    logits of value v are o = v O / Y and those after it.

    Parameters
    ----------
    name : str
        Key in `LOSSES`.
    kernel, output_kernel : str
        Compiled maths as ``module:function``; see `losses.maths`.
    activation : callable
        Outputs of logits (..., O): probabilities or values.
    labels : callable or None
        Labels of logits (..., O), int64; None if the model predicts values.
    takes_classes : bool
        True if a target is one class index.
    bounds : (float, float) or None
        Limits of a target, or None.
    formula : callable or None
        Losses and hits in NumPy, see `losses.plain`, to evaluate where nothing compiles.
    options : tuple of LossOption
        Real numbers that the kernel reads.
    n_logits : int
        Logits of a value; 0: one for each number of the options.
    means : callable or None
        Predicted values of outputs (..., `n_logits`), if these are the parameters of a
        distribution.
    """

    name: str
    kernel: str
    output_kernel: str
    activation: Function
    labels: Function | None = None
    takes_classes: bool = False
    bounds: tuple[float, float] | None = None
    formula: Formula | None = None
    options: tuple[LossOption, ...] = ()
    n_logits: int = 1
    means: Function | None = None

    @property
    def classifies(self) -> bool:
        """True if the model predicts classes."""
        return self.labels is not None

    @property
    def predict(self) -> Function:
        """Function that turns logits (..., n_logits), or (..., O), into predictions."""
        if self.labels is not None:
            return self.labels
        return self.activation if self.means is None else self._predicted_means

    def _predicted_means(self, logits: np.ndarray) -> np.ndarray:
        assert self.means is not None
        return self.means(self.activation(logits))

    @property
    def least_outputs(self) -> int:
        """Least number of outputs."""
        return 2 if self.takes_classes else 1

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures: the loss, and accuracy or mean squared error and R2."""
        return ("loss", "accuracy") if self.classifies else ("loss", "mse", "r2")

    @property
    def sources(self) -> tuple[str, ...]:
        """Compiled maths that programs hold, as ``module:function``."""
        return self.kernel, self.output_kernel

    def checked(self, options: Any) -> dict[str, Any]:
        """Return all options by name; `options` is a mapping of some of them, or None.

        Raises
        ------
        TypeError, ValueError
            `options` is no mapping, or has an unknown name or a wrong value.
        """
        if options is None:
            options = {}
        if not isinstance(options, Mapping):
            raise TypeError(f"loss_options must be a dict; got {shown(options)}")
        names = [option.name for option in self.options]
        for name in options:
            if name not in names:
                known = f"has {', '.join(names)}" if names else "has none"
                raise ValueError(
                    f"loss_options has {shown(name)}, but {self.name} {known}{hint(name, names)}"
                )
        return {
            option.name: option.check(f"loss_options[{option.name!r}]", options[option.name])
            if option.name in options
            else option.default
            for option in self.options
        }

    def flat_options(self, options: Mapping[str, Any]) -> tuple[float, ...]:
        """Return the numbers of checked options, one after another."""
        values = (options[option.name] for option in self.options)
        return tuple(x for v in values for x in (v if isinstance(v, tuple) else (v,)))

    def logits_of_value(self, options: tuple[float, ...]) -> int:
        """Return the logits of a value, for the numbers of the options."""
        return self.n_logits or len(options)

    def n_classes(self, n_outputs: int) -> int | None:
        """Classes that one target tells apart; None if it holds several numbers or values."""
        if self.takes_classes:
            return n_outputs
        return 2 if self.classifies and n_outputs == 1 else None


LOSSES: Registry[Loss] = Registry("loss")
