"""Rows are checked before the first is trained, and errors name them."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, Adam, EarlyStopping, WarmUp, fit_many, grid
from rnn_fast.studies.plan import Planner
from rnn_fast.studies.sources import Sources

X, y = np.zeros((8, 3, 2)), np.arange(8) % 2


def planned(rows, cell="gru", X=X, y=y, **common):
    return Planner(cell, Sources(X, y), {"input_size": 2, **common}).runs(rows)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "runs must have at least one row"),
        (grid(hidden_size=[3, 0]), r"runs\[1\] \(hidden_size=0\): hidden_size must be at least 1"),
        (
            grid(hidden_size=[3], epochs=[1, "x"]),
            r"runs\[1\] \(epochs='x'\): epochs must be an int",
        ),
        ([{"hidden_size": 3}] * 2, r"runs\[1\] is equal to runs\[0\]; a label tells them apart"),
        ([{}], r"runs\[0\]: hidden_size must|runs\[0\]: .*missing.*hidden_size"),
        (
            [{"hidden_size": 3, "train": [8]}],
            "train holds 8, which is none of the sequences 0 .. 7",
        ),
        ([{"hidden_size": 3, "train": [-1]}], "train holds -1"),
        ([{"hidden_size": 3, "train": []}], "train must be a vector of integers|at least one"),
        ([{"hidden_size": 3, "train": [True]}], "train must have 8 bool"),
        ([{"hidden_size": 3, "train": [[1]]}], "train must be a vector"),
        ([{"hidden_size": 3, "test": [1]}], "needs one of `train`"),
        ([{"hidden_size": 3, "seed": -1}], "seed must be"),
        ([{"hidden_size": 3, "leraning_rate": 1}], "did you mean 'learning_rate'"),
        ([{"hidden_size": 3, "val_loss": 1}], "'val_loss' is a column of the results"),
        ([{"hidden_size": 3, "X": X}], "X is not for a row of a study"),
        ([{"hidden_size": 3, "callbacks": []}], "callbacks is not for a row of a study"),
        (
            [{"hidden_size": 3, "data": "a"}],
            "data is for X that is a dict of sets of data; got 'a'",
        ),
        ([{"hidden_size": 3, "cell": "gru"}], "a row needs a `cell` where model is None"),
        ([{"hidden_size": 3, "peepholes": True}], "GRU has no argument 'peepholes'"),
        ([{"hidden_size": 3, "label": print}], "label must be a number, text, a list"),
        ([{"hidden_size": 3, "bptt": 2, "bidirectional": True}], "bptt is not for bidirectional"),
        ([{"hidden_size": 3, "l1": {"Wxx": 1}}], "Wxx"),
        ([{"hidden_size": 3, "learning_rate": 1e60}], "learning_rate .* too large for float32"),
        ([{"hidden_size": 3, "input_size": 4}], r"X must have shape \(N, T, 4\)"),
        ([{"hidden_size": 3, "validation_split": 0.99}], "leaves none to train on"),
        ([{"hidden_size": 3, "schedule": lambda epoch: 1.0}], "schedule must be a number, text"),
        (
            [{"hidden_size": 3, "early_stopping": EarlyStopping(monitor="val_loss")}],
            "early_stopping.monitor, in this training, must be one of 'loss', 'accuracy'",
        ),
        (
            [{"hidden_size": 3, "train": [0], "validation": [1], "validation_split": 0.5}],
            "validation_split cannot go with an index array",
        ),
        (
            [{"hidden_size": 3, "train": [0], "class_weight": "balanced"}],
            "class_weight='balanced' would weigh by all sequences",
        ),
    ],
)
def test_errors_of_rows(rows, text):
    with pytest.raises((TypeError, ValueError), match=text):
        planned(rows)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"hiden_size": 1}, "neither a model nor `fit` has an argument 'hiden_size'; did you mean"),
        ({"callbacks": []}, "fit_many does not take callbacks: a study calls nothing between"),
        ({"n_threads": 2}, "fit_many does not take n_threads: n_jobs says"),
        ({"errors": "ignore"}, "errors must be one of 'keep', 'raise'"),
        ({"retry_failed": 1}, "retry_failed must be True or False"),
        ({"n_jobs": 0}, "must be at least 1"),
        ({"verbose": 3}, "verbose must be None"),
        ({"lengths": [9] * 8}, "lengths"),
        ({"missing": "NaN"}, "missing must be one of 'nan'"),
    ],
)
def test_errors_of_arguments(arguments, text):
    with pytest.raises((TypeError, ValueError), match=text):
        fit_many(GRU, grid(hidden_size=[1]), X, y, input_size=2, **arguments)


def test_errors_of_models_and_data():
    with pytest.raises(TypeError, match="model must be SimpleRNN, LeakyRNN, GRU, LSTM, or None"):
        fit_many("gru", [{}], X, y)
    with pytest.raises(TypeError, match="y must be the data of the study; got None"):
        fit_many(GRU, [{}], X, None)
    with pytest.raises(ValueError, match="y must be a dict with the keys of X"):
        fit_many(GRU, [{}], {"a": X}, {"b": y})
    sets = Sources({"a": X, "b": X}, {"a": y, "b": y})
    for row, text in (({}, "the row has no data"), ({"data": "c"}, "got 'c'")):
        with pytest.raises(
            ValueError, match=f"data must be one of the keys of X, 'a', 'b'; {text}"
        ):
            Planner("gru", sets, {"input_size": 2, "hidden_size": 1}).runs([row])
    with pytest.raises(ValueError, match="b: X must have shape"):
        fit_many(GRU, grid(data=["a", "b"]), {"a": X, "b": X[0]}, {"a": y, "b": y},
                 input_size=2, hidden_size=1)  # fmt: skip


def test_identity_is_of_the_content_alone():
    one, two = planned([{"hidden_size": 2, "a": 1}, {"hidden_size": 3}])
    assert [
        run.id for run in planned([{"hidden_size": np.int64(3)}, {"a": 1, "hidden_size": 2}])
    ] == [
        two.id,
        one.id,
    ]
    assert one.model["seed"] != two.model["seed"]
    indices = planned([{"hidden_size": 2, "train": t} for t in ([0, 1], [1, 2])])
    assert len({run.id for run in [one, two, *indices]}) == 4
    mask = np.arange(8) < 2
    assert planned([{"hidden_size": 2, "train": mask}])[0].id == indices[0].id
    assert planned([{"hidden_size": 2, "train": [1, 0]}])[0].id == indices[0].id


def test_rows_take_objects_and_override_what_is_common():
    rows = [
        {"optimizer": Adam(), "early_stopping": EarlyStopping(3), "schedule": WarmUp(2, "cosine")}
    ]
    rows += [{"hidden_size": 5, "dtype": np.float64, "class_weight": {0: 2.0}}]
    one, two = planned(rows, hidden_size=2, epochs=7)
    assert (one.config.optimizer, one.config.epochs) == (Adam(), 7)
    assert one.model["hidden_size"] == 2 and two.model["hidden_size"] == 5
    assert '"kind": "Adam"' in one.text
    assert one.config.early_stopping == EarlyStopping(3)


def test_cells_may_differ_from_row_to_row():
    runs = planned(grid(cell=["gru", "lstm"]), cell=None, hidden_size=2)
    assert [run.cell for run in runs] == ["gru", "lstm"]
    with pytest.raises(TypeError, match="SimpleRNN"):
        fit_many(LSTM(1, 1), [{}], X, y)
