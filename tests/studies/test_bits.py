"""Each model of a study has the bits of training it alone."""

from __future__ import annotations

import numpy as np
import pytest
from study_cases import FORMS, N, T, alone, assert_as_alone, data, row

from rnn_fast import GRU, EarlyStopping, ReduceOnPlateau, fit_many

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
    """They hold for validation and test too, as with `validation_split`."""
    X, y, _, more = data(form)
    rng = np.random.default_rng(5)
    more |= {"mask": rng.random((N, T)) < 0.7, "sample_weight": rng.uniform(0.5, 2, N)}
    more["mask"][:, 0] = True
    orders = [np.split(rng.permutation(N), [13, 19]) for _ in range(3)]
    rows = [dict(zip(("train", "validation", "test"), order, strict=True)) for order in orders]
    classes = {0: 2.0, 1: 0.5}
    common = COMMON | {"hidden_size": 3, "return_sequences": True, "epochs": 5}
    options = {"early_stopping": 2, "class_weight": classes}
    with fit_many(GRU, rows, X, y, verbose=0, **more, **common, **options) as study:
        for run, id, record in zip(rows, study.ids, study.records(), strict=True):
            own = {k: np.sort(v) for k, v in run.items()}
            parts = {name: {k: v[own[name]] for k, v in more.items()} for name in own}
            held = {"X": X[own["validation"]], "y": y[own["validation"]], "class_weight": classes}
            model = GRU(2, 3, 3, loss="cross_entropy", return_sequences=True, seed=record["seed"])
            history = model.fit(
                X[own["train"]],
                y[own["train"]],
                epochs=5,
                validation_data={**held, **parts["validation"]},
                verbose=0,
                **parts["train"],
                **options,
            )
            test = parts["test"]
            factors = np.array([2.0, 0.5, 1.0])[y[own["test"]]]
            test["sample_weight"] = test["sample_weight"][:, None] * factors
            measures = model.evaluate(X[own["test"]], y[own["test"]], **test)
            assert record["test_loss"] == pytest.approx(measures.pop("loss"), rel=1e-6)
            kept = {k: record[f"test_{k}"] for k in measures}
            assert_as_alone(study, id, model, history, {"loss": record["test_loss"], **kept})


@pytest.mark.parametrize("form", FORMS)
def test_rules_of_other_measures_and_stratified_splits_are_as_alone(form):
    X, _, y, more = data(form)
    stopping = EarlyStopping(3, monitor="val_accuracy")
    own = {"hidden_size": 3, "epochs": 20, "early_stopping": stopping, "cell": "gru"}
    own |= {"train": np.arange(2, 20), "test": [20, 21]}
    rows = [{**own, "validation_split": 0.4, "stratify": True}, {**own, "validation": [0, 1, 22]}]
    common = COMMON | {"schedule": ReduceOnPlateau(patience=1)}
    if form == "tokens":
        common |= {"input_size": 5, "embedding_size": 3}
    with fit_many(None, rows, X, y, verbose=0, **more, **common) as study:
        assert study.counts() == {"done": 2}
        for run, id, record in zip(rows, study.ids, study.records(), strict=True):
            model, history, measures = alone(run, record["seed"], X, y, common, **more)
            assert_as_alone(study, id, model, history, measures)
            assert record["val_accuracy"] == max(history.val_accuracy)
