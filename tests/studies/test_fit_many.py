"""Studies from their rows to their results: data, failures, interrupts, stores."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnn_fast import GRU, Adam, DivergedError, Study, fit_many, folds, grid
from rnn_fast.studies.fit_many import failed_text
from rnn_fast.studies.locks import sole_writer
from rnn_fast.studies.plan import Planner
from rnn_fast.studies.sources import Sources
from rnn_fast.studies.store import Store, machine
from rnn_fast.studies.work import train

rng = np.random.default_rng(0)
X = rng.standard_normal((24, 6, 2))
y = (X.sum((1, 2)) > 0).astype(int)
COMMON = {"input_size": 2, "epochs": 3, "verbose": 0}
RUNS = grid(hidden_size=[1, 2]) * folds(24, outer=2, inner=2)


def table(study):
    """What may not differ from one way of training a study to another."""
    records = study.records()
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.fixture(scope="module")
def expected():
    with fit_many(GRU, RUNS, X, y, **COMMON) as study:
        yield table(study)


# ------------------------------------------------------------------------------------------ data


def test_subjects_have_data_of_their_own():
    data = {"a": X[:10], "b": X[10:]}
    targets = {"a": y[:10], "b": y[10:]}
    runs = grid(data=["a", "b"]) * [{"train": [0, 1, 2, 3], "test": [4, 5]}]
    with fit_many(GRU, runs, data, targets, hidden_size=2, **COMMON) as study:
        for id, record, at in zip(study.ids, study.records(), (0, 10), strict=True):
            model = GRU(2, 2, seed=record["seed"])
            model.fit(X[at : at + 4], y[at : at + 4], epochs=3, verbose=0)
            np.testing.assert_array_equal(study.model(id).Whh, model.Whh)
            assert record["data"] in "ab"


@pytest.mark.parametrize("subjects", [False, True])
def test_targets_are_missing(subjects):
    """Each run has the bits of `fit` with the same option, and measures what is there."""
    holed = np.where(np.random.default_rng(1).random((24, 2)) < 0.4, np.nan, X[:, -1])
    parts = {"train": range(12), "validation": range(12, 18), "test": range(18, 24)}
    row = {name: list(part) for name, part in parts.items()}
    data, targets = X, holed
    if subjects:
        row, data, targets = {**row, "data": "a"}, {"a": X, "b": X}, {"a": holed, "b": holed}
    arguments = {**COMMON, "hidden_size": 2, "output_size": 2, "loss": "mse", "seed": 0}
    with fit_many(GRU, [row], data, targets, missing="nan", **arguments) as study:
        (record,) = study.records()
        model = GRU(2, 2, 2, loss="mse", seed=0)
        held_out = X[12:18], holed[12:18]
        history = model.fit(X[:12], holed[:12], missing="nan", validation_data=held_out, epochs=3,
                            verbose=0)  # fmt: skip
        np.testing.assert_array_equal(study.model(study.ids[0]).Whh, model.Whh)
    assert record["val_loss"] == history.val_loss[-1] and record["val_r2"] == history.val_r2[-1]
    assert Sources(**Sources(data, targets, missing="nan").arguments()).missing == "nan"  # in Dask
    measures = model.evaluate(X[18:], holed[18:], missing="nan")
    assert {name: record[f"test_{name}"] for name in measures} == measures


def test_data_on_disk_are_read_once(tmp_path, expected):
    np.savez(tmp_path / "d.npz", X=X, y=y)
    np.save(tmp_path / "X.npy", X)
    with fit_many(GRU, RUNS, tmp_path / "d.npz", tmp_path / "d.npz", **COMMON) as study:
        assert table(study) == expected
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    with fit_many(GRU, RUNS, mapped, y, **COMMON) as study:
        assert table(study) == expected


def test_the_users_data_are_not_written_to():
    one, two = X.copy(), y.copy()
    one.flags.writeable = two.flags.writeable = False
    fit_many(GRU, RUNS, one, two, **COMMON).close()


# ---------------------------------------------------------------------------------------- stores


def test_the_same_call_again_trains_nothing(tmp_path, expected):
    path = tmp_path / "a.study"
    with fit_many(GRU, RUNS, X, y, store=path, **COMMON) as study:
        assert table(study) == expected
        seconds = [record["seconds"] for record in study.records()]
    with fit_many(GRU, RUNS, X, y, store=path, **COMMON) as study:
        assert [record["seconds"] for record in study.records()] == seconds
    assert [*tmp_path.iterdir()] == [path]


def test_rows_are_added_and_the_others_stay(tmp_path, expected):
    path = tmp_path / "a.study"
    fit_many(GRU, [*RUNS][2:5], X, y, store=path, **COMMON).close()
    with fit_many(GRU, RUNS, X, y, store=str(path), **COMMON) as study:
        by_id = {record["id"]: record for record in table(study)}
        assert by_id == {record["id"]: record for record in expected}
        assert [record["id"] for record in table(study)][:3] == [r["id"] for r in expected[2:5]]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epochs": 4}, "epochs was 3, and is 4"),
        ({"learning_rate": 0.1}, "learning_rate was None, and is 0.1"),
        ({"X": X + 1e-9}, "X was .*, and is .*"),
        ({"y": 1 - y}, "y was .*, and is .*"),
        ({"lengths": np.full(24, 6)}, "lengths was None, and is int64"),
    ],
)
def test_another_study_is_refused(tmp_path, change, text):
    path = tmp_path / "a.study"
    fit_many(GRU, [*RUNS][:1], X, y, store=path, **COMMON).close()
    with pytest.raises(ValueError, match=f"is of another study: {text}"):
        fit_many(GRU, RUNS, **{"X": X, "y": y, "store": path, **COMMON, **change})
    with Study.open(path) as study:
        assert study.counts() == {"done": 1}


def test_subjects_are_added(tmp_path):
    path, one, two = tmp_path / "a.study", {"a": X}, {"a": y}
    common = COMMON | {"hidden_size": 1, "store": path}
    fit_many(GRU, [{"data": "a"}], one, two, **common).close()
    with fit_many(GRU, [{"data": "b"}], {"b": X}, {"b": y}, **common) as study:
        assert study.counts() == {"done": 2}
    with pytest.raises(ValueError, match=r"X\['a'\] was"):
        fit_many(GRU, [{"data": "a"}], {"a": X + 1}, two, **common)


def test_what_is_no_study_is_refused(tmp_path):
    for name, content in (("text", b"text" * 1000), ("sql", None)):
        path = tmp_path / name
        if content is None:
            sqlite3.connect(path).executescript("create table a (b); pragma user_version = 1;")
        else:
            path.write_bytes(content)
        before = path.read_bytes()
        for use in (lambda path=path: Study.open(path),
                    lambda path=path: fit_many(GRU, RUNS, X, y, store=path, **COMMON)):  # fmt: skip
            with pytest.raises(ValueError, match="is no study of rnn_fast"):
                use()
        assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="there is no study"):
        Study.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_nothing_is_written_to_a_file_that_is_opened_to_read(tmp_path):
    path = tmp_path / "a.study"
    path.touch()  # as SQLite does, before `fit_many` writes its first rows
    with pytest.raises(ValueError, match="is no study of rnn_fast"):
        Study.open(path)
    assert path.read_bytes() == b""


def test_a_store_without_a_folder_is_refused_before_any_work(tmp_path):
    with pytest.raises(FileNotFoundError, match="store: there is no folder"):
        fit_many(GRU, RUNS, X, y, store=tmp_path / "none" / "a.study", **COMMON)
    with pytest.raises(IsADirectoryError):
        fit_many(GRU, RUNS, X, y, store=tmp_path, **COMMON)


def test_a_run_and_its_result_are_records_that_travel():
    sources = Sources(X, y)
    rows = [{"hidden_size": 1, "optimizer": Adam(), "train": [1, 2], "test": [3]}]
    planned = Planner("gru", sources, {"input_size": 2, "epochs": 1}).runs(rows)
    run, own = pickle.loads(pickle.dumps((planned[0], sources)))
    outcome, error = pickle.loads(pickle.dumps(train(run, own)))
    here, _ = train(planned[0], sources)
    assert error is None
    assert outcome.parameters == here.parameters and outcome.scores == here.scores
    kinds = {type(value) for value in outcome}
    assert kinds <= {str, int, float, bytes}


def test_one_process_trains_a_study(tmp_path):
    path = tmp_path / "a.study"
    with sole_writer(path), pytest.raises(BlockingIOError, match="another process trains"):
        fit_many(GRU, RUNS, X, y, store=path, **COMMON)
    fit_many(GRU, RUNS, X, y, store=path, **COMMON).close()


def test_a_study_is_read_while_it_runs(tmp_path):
    path, seen = tmp_path / "a.study", []
    runs = grid(hidden_size=[4], label=range(4))

    def read():
        while not any(seen) or seen[-1].get("waiting"):  # its rows may not be there yet
            if path.exists():
                try:
                    with Study.open(path) as study:
                        seen.append(study.counts())
                except (ValueError, FileNotFoundError, sqlite3.OperationalError):
                    continue  # not yet begun

    thread = threading.Thread(target=read)
    thread.start()
    common = COMMON | {"epochs": 3000, "batch_size": 4}
    fit_many(GRU, runs, X, y, store=path, n_jobs=1, **common).close()
    thread.join(20)
    assert {"waiting": 4} in seen and seen[-1] == {"done": 4}


KILLED = """
import sys, numpy as np
sys.path[:0] = {paths!r}
from test_fit_many import *
fit_many(GRU, RUNS * grid(label=range(12)), X, y, store={store!r}, **COMMON | {{"epochs": 150}})
"""


def killed(store, after):
    code = KILLED.format(paths=[str(Path(__file__).parent)], store=str(store))
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        _, errors = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
    return process.returncode, errors


def check_kills(tmp_path, n):
    moments = np.random.default_rng(n)
    store, finished = tmp_path / "a.study", {}
    for _ in range(n):
        code, errors = killed(store, moments.uniform(0.5, 1.5))
        assert code in (0, -signal.SIGKILL), errors
        if not store.exists():
            continue
        try:
            with Study.open(store) as study:
                now = {r["id"]: r for r in study.records() if r["status"] == "done"}
        except ValueError:
            assert not finished  # killed before the first row
            continue
        assert finished.items() <= now.items()  # none lost, and none trained again
        finished = now
    code, errors = killed(store, 100)
    assert code == 0, errors
    common = COMMON | {"epochs": 150}
    runs = RUNS * grid(label=range(12))
    with Study.open(store) as study, fit_many(GRU, runs, X, y, **common) as other:
        assert table(study) == table(other)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_study_goes_on(tmp_path):
    check_kills(tmp_path, 3)


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_many_kills(tmp_path):
    for k in range(5):
        (tmp_path / str(k)).mkdir()
        check_kills(tmp_path / str(k), 10)


# -------------------------------------------------------------------------------------- failures

DIVERGING = [
    {"hidden_size": 2, "learning_rate": rate, "a": a} for a in (0, 1) for rate in (0.01, 1e30)
]


def test_runs_that_diverge_are_rows_and_the_rest_is_the_same(tmp_path):
    common = COMMON | {"loss": "mse", "optimizer": "sgd", "store": tmp_path / "a"}
    with pytest.warns(RuntimeWarning, match="2 of 4 runs have no result: 2 diverged, 0 failed"):
        study = fit_many(GRU, DIVERGING, X, y, **common)
    statuses = [record["status"] for record in study.records()]
    assert statuses == ["done", "diverged"] * 2
    assert [*study.failed["learning_rate"]] == [1e30] * 2
    assert "training diverged in epoch" in study.records()[1]["error"]
    with fit_many(GRU, DIVERGING[::2], X, y, **common | {"store": None}) as alone:
        assert table(alone) == table(study)[::2]
    record = study.records()[1]
    model = GRU(2, 2, loss="mse", seed=record["seed"])
    with pytest.raises(DivergedError) as caught:
        model.fit(X, y, epochs=3, learning_rate=1e30, verbose=0)
    np.testing.assert_array_equal(study.model(study.ids[1]).Whh, model.Whh)
    assert study.history(study.ids[1]).loss == caught.value.history.loss
    study.close()
    fit_many(GRU, DIVERGING, X, y, **common).close()  # no warning: there is nothing to train
    with pytest.warns(RuntimeWarning, match="2 of 2 runs have no result"):
        fit_many(GRU, DIVERGING, X, y, retry_failed=True, **common).close()


def test_the_first_failure_is_raised():
    common = COMMON | {"loss": "mse", "errors": "raise", "n_jobs": 1}
    with pytest.raises(DivergedError, match=r"runs\[\d\] \(learning_rate=1e\+30, a=\d\): training"):
        fit_many(GRU, DIVERGING, X, y, **common)


def test_a_run_that_fails_is_a_row():
    runs = [{"hidden_size": 1, "loss": "mse"}, {"hidden_size": 1, "loss": "mse", "bptt": 1}]
    sources = Sources(X, y)
    planned = Planner("gru", sources, {"input_size": 2, "epochs": 1}).runs(runs)
    broken = planned[1]._replace(config=replace(planned[1].config, bptt="none"))
    (outcome, error), (good, nothing) = train(broken, sources), train(planned[0], sources)
    assert (outcome.status, good.status, nothing) == ("failed", "done", None)
    assert isinstance(error, TypeError) and outcome.error.startswith("TypeError: ")
    store = Store()
    store.plan(planned, ())
    store.write([outcome, good], machine())
    with Study(store) as study:
        assert study.counts() == {"done": 1, "failed": 1}
        with pytest.raises(ValueError, match="has no model: it is failed"):
            study.model(study.ids[1])
    text = failed_text([(broken, outcome, error)], 2)
    assert text.startswith("1 of 2 runs have no result: 0 diverged, 1 failed")


# ------------------------------------------------------------------------------------ interrupts


@pytest.mark.parametrize("store", [True, False])
def test_ctrl_c_stops_all_threads_at_once(tmp_path, store):
    path = tmp_path / "a.study" if store else None
    fit_many(GRU, grid(hidden_size=[1, 8, 9]), X, y, **COMMON).close()  # compile
    runs = [*grid(hidden_size=[1], epochs=[1], label=range(3)), {"hidden_size": 8, "epochs": 10**6},
            {"hidden_size": 9, "epochs": 10**6}]  # fmt: skip
    sent = []

    def send():
        time.sleep(1.0)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send).start()
    text = "goes on from" if store else "no store kept them"
    with pytest.raises(KeyboardInterrupt, match=rf"study stopped after \d of 5 runs; .*{text}"):
        fit_many(GRU, runs, X, y, store=path, n_jobs=3, **{**COMMON, "epochs": 1})
    assert time.perf_counter() - sent[0] < 0.6  # 0.3 on an idle machine
    assert not [t for t in threading.enumerate() if t.name == "rnn_fast study"]
    if store:
        with Study.open(path) as study:
            assert study.counts() == {"done": 3, "waiting": 2}
