"""The results of a study: tables, models, ensembles, figures, a page."""

from __future__ import annotations

import copy
import pickle
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pandas as pd
import pytest
from pieces import Piece

from rnn_fast import GRU, LSTM, Adam, EarlyStopping, Ensemble, Study, fit_many, folds, grid
from rnn_fast.studies.crew import SAMPLES, in_turn
from rnn_fast.studies.plan import Planner
from rnn_fast.studies.progress import Forecast, Lines, progress
from rnn_fast.studies.sources import Sources
from rnn_fast.studies.table import best_settings
from rnn_fast.studies.work import best_epoch, train
from rnn_fast.training.early_stopping import Watch
from rnn_fast.training.history import History

matplotlib.use("Agg")
rng = np.random.default_rng(0)
X = rng.standard_normal((24, 6, 2))
y = (X.sum((1, 2)) > 0).astype(int)
RUNS = grid(hidden_size=[1, 2], optimizer=["sgd", Adam(0.8)]) * folds(24, outer=2, inner=2)
COMMON = {"input_size": 2, "epochs": 8, "early_stopping": 3, "learning_rate": 0.05, "verbose": 0}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "a.study"
    with fit_many(GRU, RUNS, X, y, store=path, **COMMON) as study:
        yield study


# ---------------------------------------------------------------------------------------- tables


def test_to_frame(study):
    table = study.to_frame()
    assert list(table.index) == study.ids and table.index.name == "id"
    names = ["hidden_size", "optimizer", "outer", "inner", "seed", "status", "best_epoch"]
    names += ["epochs_trained", "seconds", "error", "train_loss", "train_accuracy"]
    names += ["val_loss", "val_accuracy", "test_loss", "test_accuracy"]
    assert list(table.columns) == names
    assert set(table["optimizer"]) == {"sgd", str(Adam(0.8))}
    assert table["train_loss"].dtype == float
    for id, row in table.iterrows():
        history, at = study.history(id), row["best_epoch"] - 1
        assert row["epochs_trained"] == len(history)
        assert row["val_loss"] == history.val_loss[at] == min(history.val_loss)
        assert row["train_loss"] == history.loss[at]
    assert len(study) == 16 and repr(study) == "<Study of 16 runs: 16 done>"
    assert study.settings == {"cell": "gru", **{k: v for k, v in COMMON.items() if k != "verbose"}}


def test_best(study):
    table = study.to_frame()
    best = study.best("val_loss", per=["outer", "hidden_size"])
    assert [*zip(best["outer"], best["hidden_size"], strict=True)] == [
        (0, 1),
        (0, 2),
        (1, 1),
        (1, 2),
    ]
    for id, row in best.iterrows():
        group = table[(table.outer == row.outer) & (table.hidden_size == row.hidden_size)]
        assert group["val_loss"].idxmin() == id
    assert list(study.best("val_accuracy").index) == [table["val_accuracy"].idxmax()]
    assert len(study.best(per="outer")) == 2
    with pytest.raises(
        ValueError, match="no column 'val_los'; there are .*; did you mean 'val_loss'"
    ):
        study.best("val_los")
    with pytest.raises(ValueError, match="there is no column 'by'"):
        study.best(per=["by"])


@pytest.mark.parametrize("per", [["outer"], []])
def test_best_settings(study, per):
    table = study.to_frame()
    best = study.best("val_loss", per, mean_over="inner")
    means = table.groupby(["outer", "hidden_size", "optimizer"])["val_loss"].mean()
    if not per:  # then the outer fold is a setting too
        assert {*zip(best.outer, best.hidden_size, best.optimizer, strict=True)} == {means.idxmin()}
        assert len(best) == 2
        return
    assert len(best) == 4 and list(best["outer"]) == [0, 0, 1, 1]
    for outer, rows in best.groupby("outer"):
        setting = means[outer].idxmin()
        assert {*zip(rows.hidden_size, rows.optimizer, strict=True)} == {setting}
        assert list(rows["inner"]) == [0, 1]
    pd.testing.assert_frame_equal(best[table.columns], table.loc[best.index])
    mean = study.best("val_accuracy", mean_over=["inner", "outer"])["val_accuracy"].mean()
    assert mean == table.groupby(["hidden_size", "optimizer"])["val_accuracy"].mean().max()
    assert len(study.best(mean_over=["inner", "outer", "hidden_size", "optimizer"])) == 16
    with pytest.raises(ValueError, match="no column 'iner'; .* did you mean 'inner'"):
        study.best(mean_over="iner")


def test_a_setting_with_a_run_that_has_no_value_is_not_chosen():
    table = pd.DataFrame(
        {
            "size": [1, 1, 2, 2, 3, 3],
            "l1": ["a"] * 2 + [None] * 2 + ["b"] * 2,
            "inner": [0, 1] * 3,
            "seed": range(6),
            "status": ["done"] * 5 + ["diverged"],
            "val_loss": [3.0, 3, 2, 3, 1, 1],
        }
    )
    assert list(best_settings(table, "val_loss", [], ["inner"]).index) == [2, 3]
    assert list(best_settings(table, "val_loss", ["inner"], []).index) == [4, 1]


def test_select(study):
    table = study.to_frame()
    rows = table[(table.hidden_size == 2) & table.inner.isin([0, 1]) & (table.optimizer == "sgd")]
    for inner in ([0, 1], range(2), np.arange(2), (1, 0)):
        ids = study.select(hidden_size=2, inner=inner, optimizer="sgd")
        assert ids == list(rows.index)
    assert study.select() == study.ids
    assert study.select(optimizer=Adam(0.8), outer=np.int64(1), inner=0, hidden_size=[1, 9]) == [
        table.index[(table.optimizer != "sgd") & (table.hidden_size == 1)][2]
    ]
    assert study.select(status=["failed", "waiting"]) == []
    assert study.select(status="failed", hidden_size=1) == []
    with pytest.raises(ValueError, match="no column 'hiden_size'; there are .*'hidden_size'"):
        study.select(hiden_size=1)
    with pytest.raises(ValueError, match=r"no run has hidden_size=\[3, 4\]; there are 1, 2"):
        study.select(hidden_size=[3, 4])
    with pytest.raises(ValueError, match="status must be one of 'done', 'diverged'"):
        study.select(status="dne")


def test_runs_are_named_by_ids_or_rows(study):
    table = study.to_frame()
    some, one = table[table["hidden_size"] == 1], study.best()
    id = one.index[0]
    for ids in (some, some.index, list(some.index), iter(some.index), study.select(hidden_size=1)):
        assert [model.hidden_size for model in study.models(ids)] == [1] * len(some)
    assert len(study.ensemble(one)) == len(study.ensemble(id)) == 1
    np.testing.assert_array_equal(study.predict(X, one), study.model(id).predict_proba(X))
    assert study.history(one).val_loss == study.history(id).val_loss
    np.testing.assert_array_equal(study.model(one).Whh, study.model(id).Whh)
    assert study.indices(one).keys() == {"train", "validation", "test"}
    assert len(study.plot_curves(one).lines) == 2
    for method in (study.models, study.ensemble, study.plot_curves, study.history, study.model):
        with pytest.raises(KeyError, match="no run 'x'. Ids are the index of to_frame"):
            method("x")
        with pytest.raises(KeyError, match="there is no run 3"):
            method(pd.DataFrame({"a": [1]}, index=[3]))
        with pytest.raises(TypeError, match="must be an id, ids or a DataFrame; got 7"):
            method(7)
    with pytest.raises(KeyError, match="there is no run 1.* Ids are the index"):
        study.predict(X, table["hidden_size"])
    with pytest.raises(ValueError, match="id must be of one run; got 8"):
        study.model(some)
    matplotlib.pyplot.close("all")


def test_train_and_validation_and_test_have_the_same_measures():
    parts = {"train": range(12), "validation": range(12, 18), "test": range(18, 24)}
    with fit_many(GRU, [parts], X, y, hidden_size=1, **COMMON | {"loss": "mse"}) as study:
        (record,) = study.records()
        names = {
            f"{part}_{name}" for part in ("train", "val", "test") for name in ("loss", "mse", "r2")
        }
        assert {name for name in record if name.startswith(("train_", "val_", "test_"))} == names
        history = study.history(study.ids[0])
        assert record["val_mse"] == history.val_mse[record["best_epoch"] - 1]
        assert len(study.best("val_mse")) == len(study.best("train_mse")) == 1


def test_a_study_without_validation_has_no_such_column():
    with fit_many(GRU, grid(hidden_size=[1]), X, y, input_size=2, epochs=0, verbose=0) as empty:
        (record,) = empty.records()
        assert (record["best_epoch"], record["epochs_trained"]) == (0, 0)
        assert len(empty.history(empty.ids[0])) == 0
        assert len(empty.failed) == 0
        with pytest.raises(ValueError, match="no column 'val_loss'"):
            empty.best()


@pytest.mark.parametrize(
    ("losses", "rule", "epoch"),
    [
        ([3, 1, 2], None, 3),
        ([3, 1, 2], EarlyStopping(5, restore_best=False), 3),
        ([3, 1, 1, 2], EarlyStopping(5), 2),
        ([3, 2.95, 2.9, 2.8], EarlyStopping(5, min_delta=0.1), 4),
        ([3, 2.95, 2.92], EarlyStopping(5, min_delta=0.1), 1),
        ([np.nan, 2, np.nan], EarlyStopping(5), 2),
        ([np.nan] * 3, EarlyStopping(5), 3),
        ([], EarlyStopping(5), 0),
    ],
)
def test_best_epoch(losses, rule, epoch):
    history = History(loss=[0.0] * len(losses), val_loss=losses, accuracy=[0.0] * len(losses))
    watch = Watch.of(rule, GRU(1, 1)._net, validates=True)
    assert best_epoch(history, watch) == epoch
    state = watch
    for n in range(1, len(losses) + 1):  # the training's own rule
        state = state.after(History(val_loss=losses[:n]), np.array([n]))
    kept = state.parameters
    assert epoch == (len(losses) if kept is None else kept[0])


def test_best_epoch_of_another_measure():
    history = History(loss=[1, 2, 3], val_loss=[3, 2, 1], val_accuracy=[0.5, 0.9, 0.9])
    watch = Watch.of(EarlyStopping(monitor="val_accuracy"), GRU(1, 1)._net, validates=True)
    assert best_epoch(history, watch) == 2


# ---------------------------------------------------------------------------------------- models


def test_models(study):
    id = study.best().index[0]
    model = study.model(id)
    assert isinstance(model, GRU) and model.learning_rate == 0.05
    measures = model.evaluate(X[study.indices(id)["test"]], y[study.indices(id)["test"]])
    assert measures["loss"] == study.best()["test_loss"].iloc[0]
    assert len([*study.models()]) == 16
    with pytest.raises(KeyError, match="there is no run 'x'"):
        study.model("x")
    with pytest.raises(KeyError):
        study.history("x")


def test_a_study_is_opened_from_its_file(study):
    with Study.open(study.path) as other:
        pd.testing.assert_frame_equal(other.to_frame(), study.to_frame())
        np.testing.assert_array_equal(other.model(study.ids[3]).Whh, study.model(study.ids[3]).Whh)
        assert other.settings == study.settings


def test_indices(study):
    row, kept = RUNS[3], study.indices(study.ids[3])
    assert kept.keys() == {"train", "validation", "test"}
    assert all((kept[name] == row[name]).all() for name in kept)


# ------------------------------------------------------------------------------------- ensembles


def test_predictions_are_reduced_over_models(study):
    ids = study.ids[:3]
    each = np.stack([study.model(id).predict_proba(X) for id in ids])
    np.testing.assert_array_equal(study.predict(X, ids, reduce=None), each)
    np.testing.assert_allclose(study.predict(X, ids), each.mean(0), rtol=1e-6)
    np.testing.assert_allclose(study.predict(X, ids, reduce="std"), each.std(0), rtol=1e-5)
    np.testing.assert_array_equal(study.ensemble(ids).predict(X), each.mean(0) > 0.5)
    parts = study.predict([X[0], X[1][:3]], ids, reduce="median")
    np.testing.assert_allclose(parts[0], np.median(each[:, 0]), rtol=1e-6)
    with pytest.raises(ValueError, match="reduce must be 'mean', 'median', 'std' or None"):
        study.predict(X, ids, reduce="max")


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("loss", ["bce", "cross_entropy", "mse"])
def test_ensembles_have_the_form_of_their_models(loss, sequences):
    outputs = 3 if loss == "cross_entropy" else 1
    options = {"loss": loss, "return_sequences": sequences}
    models = [LSTM(2, 3, outputs, seed=seed, **options) for seed in range(3)]
    ensemble = Ensemble(models)
    assert len(ensemble) == 3 and [*ensemble] == models
    for data in (X, [X[0], X[1][:2]]):
        got, form = ensemble.predict(data), models[0].predict(data)
        assert type(got) is type(form)
        for a, b in zip(got, form, strict=True):
            assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
    if loss == "mse":
        np.testing.assert_allclose(
            ensemble.predict(X), np.mean([m.predict(X) for m in models], 0), rtol=1e-6
        )
        with pytest.raises(ValueError, match="predict_proba needs models with loss bce"):
            ensemble.predict_proba(X)
    else:
        assert ensemble.predict_proba(X).shape == models[0].predict_proba(X).shape
    again = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_array_equal(again.predict(X), ensemble.predict(X))
    np.testing.assert_array_equal(copy.deepcopy(ensemble).predict(X), ensemble.predict(X))


def test_errors_of_ensembles():
    with pytest.raises(ValueError, match="needs at least one model"):
        Ensemble([])
    with pytest.raises(TypeError, match=r"models\[1\] must be a model; got 3"):
        Ensemble([GRU(1, 1), 3])
    with pytest.raises(ValueError, match="must have the same loss"):
        Ensemble([GRU(1, 1), GRU(1, 1, loss="mse")])


# --------------------------------------------------------------------------------------- display


def test_plots(study):
    ax = study.plot("hidden_size", "val_loss", per="optimizer")
    means = study.to_frame().groupby(["optimizer", "hidden_size"])["val_loss"].mean()
    drawn = np.concatenate([line.get_ydata() for line in ax.lines])
    np.testing.assert_allclose(drawn, means.to_numpy())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("hidden_size", "val_loss")
    ax = study.plot("optimizer", ax=ax.figure.add_subplot())
    assert [label.get_text() for label in ax.get_xticklabels()][1] == "sgd"
    curves = study.plot_curves(study.ids[:2])
    np.testing.assert_array_equal(curves.lines[1].get_ydata(), study.history(study.ids[0]).val_loss)
    best = study.best(per="hidden_size").assign(error_rate=lambda rows: 1 - rows["test_accuracy"])
    drawn = study.plot("hidden_size", "error_rate", table=best)
    np.testing.assert_array_equal(drawn.lines[0].get_ydata(), best["error_rate"])
    means = best.groupby("hidden_size", as_index=False)[["val_loss"]].mean()
    np.testing.assert_array_equal(study.plot(table=means).lines[0].get_xdata(), [1, 2])
    with pytest.raises(ValueError, match="there is no column 'size'"):
        study.plot("size")
    with pytest.raises(TypeError, match="ax must be axes"):
        study.plot(ax=3)
    matplotlib.pyplot.close("all")


class Tags(HTMLParser):
    """Counts tags, and keeps what is loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.counts, self.sources = {}, []

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.sources += [v for k, v in attributes if k in ("src", "href") and not v.startswith("#")]


def test_report(study, tmp_path):
    path = tmp_path / "report.html"
    study.report(path)
    text, tags = path.read_text(encoding="utf-8"), Tags()
    tags.feed(text)
    assert tags.counts["table"] == 1 and tags.counts["tr"] == 17
    assert tags.counts["svg"] == 5  # sizes, optimizers, outer, inner; curves
    assert not tags.sources
    assert "16 runs: 16 done" in text
    study.report(path, "test_accuracy")


def test_a_report_of_failures_escapes_them(tmp_path):
    runs = [{"hidden_size": 1, "learning_rate": 1e30, "label": "<b>&"}]
    with pytest.warns(RuntimeWarning, match="1 diverged"):
        study = fit_many(GRU, runs, X, y, input_size=2, loss="mse", verbose=0)
    with study:
        study.report(tmp_path / "report.html")
        assert "<b>&" in Piece(study._repr_html_()).cells
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;" in text and "<b>" not in text and "Failed runs" in text


def test_a_notebook_shows_the_best_runs(study):
    text = study._repr_html_()
    cells = Piece(text).cells
    at = cells.index("id")
    width = cells.index("test_accuracy") + 1
    rows = [cells[k : k + width] for k in range(width, len(cells), width)]
    assert [row[at] for row in rows] == list(study.to_frame().sort_values("val_loss").index[:10])
    assert "error" not in cells and "Study of 16 runs: 16 done" in text
    assert "10 of 16 runs, of least val_loss" in text


def planned(rows, **common):
    sources = Sources(X, y)
    return sources, Planner("gru", sources, {"input_size": 2, **common}).runs(rows)


def test_runs_are_trained_costliest_first_after_some_of_each_cost():
    _, runs = planned(grid(hidden_size=[1, 20], label=range(SAMPLES + 2)))
    ordered = in_turn(runs)
    sizes = [run.model["hidden_size"] for run in ordered]
    assert sizes == [20] * SAMPLES + [1] * SAMPLES + [20] * 2 + [1] * 2
    assert in_turn(reversed(runs)) == ordered  # whatever the order of the rows
    large = [run.id for run in ordered if run.model["hidden_size"] == 20]
    assert large == sorted(large)


def test_the_forecast_is_the_time_of_like_runs():
    _, runs = planned(grid(hidden_size=[1, 20], label=range(4)))
    forecast = Forecast(runs, 2)
    assert np.isnan(forecast.seconds({}))
    forecast.saw(runs[0], 1.0)
    forecast.saw(runs[4], 4.0)
    assert forecast.seconds({}) == pytest.approx((3 * 1 + 3 * 4) / 2)
    for run in runs[5:]:
        forecast.saw(run, 4.0)
    forecast.saw(runs[1], 1.0)
    forecast.saw(runs[2], 1.0)
    assert forecast.seconds({}) == pytest.approx(1.0)  # one run is on one core


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_progress_counts(verbose, capsys):
    sources, runs = planned(grid(hidden_size=[1], label=range(2)), loss="mse", epochs=2)
    broken = runs[1]._replace(model=runs[1].model | {"learning_rate": -1})
    with progress(runs, 3, 1, verbose) as shows:
        shows.compiling(2)
        for run in (runs[0], broken):
            shows.update([(run, *train(run, sources))], {})
    assert (shows.done, shows.failed, shows.epochs) == (3, 1, 2)
    told = capsys.readouterr().err
    assert bool(told) == bool(verbose)
    if verbose:
        assert "3/3" in told and "compiling 2 programs" in told
        assert ("1 failed" in told and "best train_loss" in told) or isinstance(shows, Lines)
