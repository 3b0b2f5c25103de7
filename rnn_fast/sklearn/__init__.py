"""Estimators of scikit-learn: classification and regression of sequences.

They need scikit-learn, which ``pip install 'rnn_fast[sklearn]'`` brings.
"""

from .._optional import extra

extra("sklearn", "sklearn")

from .classifier import RNNClassifier  # noqa: E402
from .regressor import RNNRegressor  # noqa: E402

__all__ = ["RNNClassifier", "RNNRegressor"]
