"""The checks that scikit-learn has for estimators."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    parametrize_with_checks,
)

from rnn_fast.sklearn import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.usefixtures("one_tile")

#: checks that fail, and why
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "repeated sequences fall into other batches, "
    "and float32 rounds; whole batches of float64 pass, see below"
}


@parametrize_with_checks(
    [RNNClassifier(), RNNRegressor()],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.sweep
def test_weights_are_repetitions():
    estimator = RNNRegressor(batch_size=None, dtype="float64", epochs=20)
    check_sample_weight_equivalence_on_dense_data("RNNRegressor", estimator)
