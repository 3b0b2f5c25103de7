"""The command `rnn-fast study`."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from rnn_fast import Study
from rnn_fast.cli.main import main

rng = np.random.default_rng(0)
X = rng.standard_normal((24, 6, 2))
ANIMALS = np.array(["rat", "mouse"] * 12)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "d.npz"
    steps = (X.cumsum(1)[:, :, 0] > 0).astype(int)
    np.savez(path, X=X, y=(X.sum((1, 2)) > 0).astype(int), animal=ANIMALS)
    np.savez(path.with_name("steps.npz"), X=X, y=steps, lengths=np.arange(24) % 6 + 1)
    return path


@pytest.fixture
def cli(capsys):
    """Run a command; gives (exit code, standard output, standard error)."""

    def run(*arguments):
        try:
            code = main(["study", *(str(argument) for argument in arguments)])
        except SystemExit as stop:  # argparse
            code = stop.code
        return code, *capsys.readouterr()

    return run


GRID = ("--grid", "hidden=1,2", "l1=1e-5,None", "--seeds", 2, "--epochs", 3)


def test_a_study_and_its_best_rows(cli, data, tmp_path):
    store = tmp_path / "a.study"
    arguments = ("--data", data, *GRID, "--folds", "2x2", "--by", "animal", "--store", store)
    code, out, err = cli(*arguments, "--early-stopping", 2)
    assert code == 0, err
    told, settings = out.splitlines()
    assert told == f"{store}: 64 runs: 64 done"
    assert "optimizer = adam" in settings and "loss = bce" in settings
    code, out, err = cli(store, "--best", "val_loss", "--per", "by,hidden_size")
    best = pd.read_csv(io.StringIO(out), index_col="id")
    assert code == 0 and not err
    with Study.open(store) as study:
        assert list(best.index) == list(study.best(per=["by", "hidden_size"]).index)
        assert set(study.to_frame()["by"]) == {"rat", "mouse"}
    code, out, err = cli(*arguments, "--early-stopping", 3)
    assert code == 2 and "early_stopping was 2, and is 3" in err


def test_targets_that_are_missing(cli, data, tmp_path):
    y = np.where(np.arange(24) % 3, X[:, -1, 0], np.nan)
    np.savez(tmp_path / "holed.npz", X=X, y=y)
    arguments = ("--data", tmp_path / "holed.npz", "--grid", "hidden=1", "--epochs", 1)
    arguments += ("--store", tmp_path / "a.study")
    code, _, err = cli(*arguments)
    assert code == 2 and "y[0] = nan is not finite" in err
    code, out, err = cli(*arguments, "--missing", "nan")
    assert code == 0 and "1 done" in out, err


def test_settings_of_all_rows(cli, data, tmp_path):
    store = tmp_path / "a.study"
    code, out, err = cli(
        *("--data", data.with_name("steps.npz"), "--every-step", "--store", store, "--quiet"),
        *("--grid", "cell=gru,rnn", "--hidden", 2, "--optimizer", "sgd", "--batch-size", 4),
        *("--folds", 3, "--jobs", 1, "--report", tmp_path / "r.html"),
    )
    assert (code, out) == (0, ""), err
    with Study.open(store) as study:
        assert study.settings["batch_size"] == 4 and study.settings["optimizer"] == "sgd"
        assert {model.cell for model in study.models()} == {"gru", "rnn"}
        assert len(study) == 6
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "study needs --data, to train, or the name of a store to look at"),
        (("x", "--data", "d"), "study needs --data"),
        (("--data", "d"), "--data needs --store"),
        (("nothing.study",), "there is no study 'nothing.study'"),
        (("x", "--per", "by"), "--per goes with --best"),
        (("--data", "DATA", "--store", "s", "--by", "animal"), "--by goes with --folds"),
        (("--data", "DATA", "--store", "s", "--folds", "2", "--by", "a"), "no array a"),
        (("--data", "DATA", "--store", "s"), "missing 1 required positional argument"),
        (
            ("--data", "DATA", "--store", "s", "--grid", "cell=gru", "--cell", "gru"),
            "in --grid and",
        ),
        (("--data", "DATA", "--store", "s", "--grid", "hidden=1", "hiden_size=1"), "did you mean"),
        (("--data", "DATA", "--grid", "hidden"), "must be such as hidden=1,2,5; got hidden"),
        (("--data", "DATA", "--folds", "axb"), "must be such as 5 or 10x9; got axb"),
    ],
)
def test_errors(cli, data, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*(data if each == "DATA" else each for each in arguments))
    assert code in (1, 2) and text in err and not out
