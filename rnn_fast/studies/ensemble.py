"""Several models that predict as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np

from ..losses import LOSSES
from ..models.base import Model
from ..validation import shown

Reduction = Literal["mean", "median", "std"]  #: keys of `REDUCTIONS`
REDUCTIONS: dict[str, Any] = {"mean": np.mean, "median": np.median, "std": np.std}


class Ensemble:
    """Models of the same task; their mean output is the ensemble's.

    Parameters
    ----------
    models : iterable of models
        With the same loss and number of outputs.

    Raises
    ------
    TypeError, ValueError
        Something is no model, there is none, or they have different tasks.
    """

    def __init__(self, models: Iterable[Model]) -> None:
        self.models: tuple[Model, ...] = tuple(models)
        for i, model in enumerate(self.models):
            if not isinstance(model, Model):
                raise TypeError(f"models[{i}] must be a model; got {shown(model)}")
        if not self.models:
            raise ValueError("an ensemble needs at least one model; got none")
        tasks = {
            (m.loss, m._net.loss_options, m.output_size, m.return_sequences) for m in self.models
        }
        if len(tasks) > 1:
            raise ValueError(
                "models of an ensemble must have the same loss, output_size and return_sequences; "
                f"got {sorted(tasks, key=str)}"
            )

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models)

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)} models>"

    @property
    def _loss(self) -> Any:
        return LOSSES[self.models[0].loss]

    def outputs(self, X: Any, **options: Any) -> list[Any]:
        """Return the output of each model: probabilities of a classifier, else values.

        Parameters
        ----------
        X : array-like or list
            As in `Model.predict`.
        **options
            `lengths` and other arguments of `Model.predict`.
        """
        method = "predict_proba" if self._loss.classifies else "predict"
        return [getattr(model, method)(X, **options) for model in self.models]

    def predict_proba(self, X: Any, **options: Any) -> Any:
        """Return the mean of the models' probabilities.

        Raises
        ------
        ValueError
            The loss has no probabilities.
        """
        if not self._loss.classifies:
            raise ValueError(
                f"predict_proba needs models with loss bce or cross_entropy, not {self._loss.name}"
            )
        return reduced(self.outputs(X, **options), "mean")

    def predict(self, X: Any, **options: Any) -> Any:
        """Return the mean of the models' values, or the labels of their mean probabilities."""
        mean = reduced(self.outputs(X, **options), "mean")
        if not self._loss.classifies:
            return mean
        return [self._labels(part) for part in mean] if type(mean) is list else self._labels(mean)

    def _labels(self, probabilities: np.ndarray) -> np.ndarray:
        if self._loss.takes_classes:
            return probabilities.argmax(-1)
        return (probabilities > 0.5).astype(np.int64)


def reduced(outputs: list[Any], reduce: Reduction | None) -> Any:
    """Return the mean, the median or the standard deviation over models, or all outputs for None.

    Outputs of lists of sequences are lists.
    """
    if reduce is not None and reduce not in REDUCTIONS:
        names = ", ".join(map(repr, REDUCTIONS))
        raise ValueError(f"reduce must be {names} or None; got {shown(reduce)}")
    if isinstance(outputs[0], list):
        return [reduced(list(parts), reduce) for parts in zip(*outputs, strict=True)]
    stacked = np.stack(outputs)
    return stacked if reduce is None else REDUCTIONS[reduce](stacked, axis=0)
