"""The checks that aeon has for estimators, where it is installed."""

from __future__ import annotations

import pytest

from rnn_fast.sklearn import RNNClassifier, RNNRegressor

pytest.importorskip("aeon")
from aeon.classification.sklearn import SklearnClassifierWrapper
from aeon.regression.sklearn import SklearnRegressorWrapper
from aeon.testing.estimator_checking import parametrize_with_checks

pytestmark = pytest.mark.usefixtures("one_tile")

SMALL = {"layout": "NIT", "epochs": 5, "random_state": 0}
TAGS = {
    "X_inner_type": ["numpy3D", "np-list"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
}


class AeonClassifier(SklearnClassifierWrapper):
    _tags = TAGS

    @classmethod
    def _get_test_params(cls, parameter_set="default"):
        return {"classifier": RNNClassifier(**SMALL)}


class AeonRegressor(SklearnRegressorWrapper):
    _tags = TAGS

    @classmethod
    def _get_test_params(cls, parameter_set="default"):
        return {"regressor": RNNRegressor(**SMALL)}


@parametrize_with_checks([AeonClassifier, AeonRegressor])
def test_aeon(check):
    check()
