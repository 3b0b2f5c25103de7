"""The classification of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from ..data.weights import ClassWeight
from ..validation import shown
from .estimator import Estimator, documented


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class RNNClassifier(ClassifierMixin, Estimator):
    """A recurrent network for scikit-learn that tells what class a sequence is of.

    y is (N,) labels of any kind, such as text; or (N, L) of 0 and 1 for L labels that do not
    exclude each other.  The loss is bce for two classes and for such labels, cross_entropy for
    more classes.

    Parameters
    ----------
    class_weight : dict of label to weight, or "balanced", optional
        Weight of each class in the loss; a label that the dict lacks weighs 1.  "balanced" weighs
        each class by the reciprocal of its frequency, in `partial_fit` of that in its data.
    COMMON
    ATTRIBUTES
    classes_ : ndarray (C,)
        Labels in order; for (N, L) labels 0 .. L - 1.
    """

    class_weight: ClassWeight = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> RNNClassifier:
        """Train for one epoch, where the last call stopped.

        The state of the optimizer goes on, except in a copy or a pickle.  The step size is
        constant.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like (C,), optional
            All labels that will come, needed in the first call; for y (N, L) 0 .. L - 1.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError, DivergedError
            As `fit`.
        """
        is_first = not hasattr(self, "model_")
        if is_first and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit; got None")
        if classes is not None:
            labels = LabelEncoder().fit(classes).classes_
            if not is_first and not np.array_equal(labels, self.classes_):
                raise ValueError(
                    f"classes must be {shown(self.classes_)}, as in the first call; got "
                    f"{shown(labels)}"
                )
            self.classes_: np.ndarray = labels
        return self._learn_once(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each of N sequences, (N,), or (N, L) of 0 and 1."""
        indices = self._apply("predict", X)
        return indices if indices.ndim == 2 else self.classes_[indices]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (N, C), or that each label is 1, (N, L)."""
        probabilities = self._apply("predict_proba", X)
        if probabilities.ndim == 1:
            return np.stack([1 - probabilities, probabilities], axis=1)
        return probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return logits: (N,) for two classes, of the second; otherwise (N, C) or (N, L)."""
        return self._apply("decision_function", X)

    def _targets(self, y: Any) -> tuple[np.ndarray, dict[str, Any]]:
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        if type_of_target(y, input_name="y") == "multilabel-indicator":
            y = check_array(y, accept_sparse=True, input_name="y")
            y = y if isinstance(y, np.ndarray) else y.toarray()
            self.classes_ = np.arange(y.shape[1])
            return y, {"loss": "bce", "output_size": y.shape[1]}
        y = column_or_1d(y, warn=True)
        labels = LabelEncoder()
        if hasattr(self, "classes_"):  # of the call that goes on, or the first of partial_fit
            labels.classes_ = self.classes_
        else:
            self.classes_ = labels.fit(y).classes_
        n = len(self.classes_)
        if n < 2:
            raise ValueError(
                f"y must hold at least two classes; got 1 class, {shown(self.classes_.tolist()[0])}"
            )
        implied = {"loss": "bce", "output_size": 1} if n == 2 else {"loss": "cross_entropy"}
        training = {"class_weight": self._class_weight(), "stratify": self._held_out() > 0}
        return labels.transform(y), {"output_size": n, **implied, **training}

    def _class_weight(self) -> Any:
        """Return `class_weight` by the number of each class."""
        if not isinstance(self.class_weight, Mapping):
            return self.class_weight
        numbers = {label: i for i, label in enumerate(self.classes_.tolist())}
        for label in self.class_weight:
            if label not in numbers:
                raise ValueError(
                    f"class_weight[{label!r}] is none of the classes {shown(self.classes_)}"
                )
        return {numbers[label]: weight for label, weight in self.class_weight.items()}
