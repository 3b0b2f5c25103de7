"""Each model of a study has the bits of training it alone."""

from __future__ import annotations

import numpy as np
import pytest
from study_cases import FORMS, N, T, alone, assert_as_alone, data, row

from rnn_fast import GRU, fit_many

pytestmark = pytest.mark.usefixtures("one_tile")
COMMON = {"input_size": 2, "output_size": 3, "loss": "cross_entropy"}


def check(form, seeds, n_jobs, sequences):
    X, steps, last, more = data(form)
    rows = [row(seed, form) for seed in seeds]
    common = COMMON | {"return_sequences": sequences}
    y = steps if sequences else last
    with fit_many(None, rows, X, y, n_jobs=n_jobs, verbose=0, **more, **common) as study:
        assert study.counts() == {"done": len(rows)}
        for run, id, record in zip(rows, study.ids, study.records(), strict=True):
            assert_as_alone(study, id, *alone(run, record["seed"], X, y, common, **more))


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
@pytest.mark.parametrize("form", FORMS)
def test_models_are_as_alone(form, n_jobs):
    check(form, range(6), n_jobs, sequences=n_jobs != 2)


@pytest.mark.sweep
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_many_models_are_as_alone(form, sequences):
    for start in range(0, 40, 20):
        check(form, range(start, start + 20), 2, sequences)


@pytest.mark.parametrize("form", ["equal", "padded"])
def test_weights_and_masks_are_as_alone(form):
    X, y, _, more = data(form)
    rng = np.random.default_rng(5)
    more |= {"mask": rng.random((N, T)) < 0.7, "sample_weight": rng.uniform(0.5, 2, N)}
    more["mask"][:, 0] = True
    orders = [rng.permutation(N) for _ in range(3)]
    rows = [{"train": order[:15], "test": order[15:]} for order in orders]
    common = COMMON | {"hidden_size": 3, "return_sequences": True, "epochs": 3, "cell": "gru"}
    common["class_weight"] = {0: 2.0, 1: 0.5}
    own = {k: v for k, v in common.items() if k != "cell"}
    with fit_many(GRU, rows, X, y, verbose=0, **more, **own) as study:
        for run, id, record in zip(rows, study.ids, study.records(), strict=True):
            model, history, _ = alone(run, record["seed"], X, y, common, **more)
            # class weights hold for the test too, as for `validation_split`
            test = np.sort(run["test"])
            weights = np.array([2.0, 0.5, 1.0])[y[test]] * more["sample_weight"][test][:, None]
            weights = {"sample_weight": weights, "mask": more["mask"][test]}
            if form == "padded":
                weights["lengths"] = more["lengths"][test]
            measures = model.evaluate(X[test], y[test], **weights)
            assert record["test_loss"] == pytest.approx(measures.pop("loss"), rel=1e-6)
            kept = {k: record[f"test_{k}"] for k in measures}
            assert_as_alone(study, id, model, history, {"loss": record["test_loss"], **kept})
