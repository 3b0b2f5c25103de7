"""The CSV file of a training: whole, without repeats, readable at any moment."""

from __future__ import annotations

import csv
from itertools import pairwise

import numpy as np
import pytest

from rnn_fast import SimpleRNN
from rnn_fast.callbacks import CSVLogger

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 5, 2))
Y = X.sum((1, 2))
SETTINGS = {"validation_split": 0.2, "verbose": 0}


def model(**options):
    return SimpleRNN(2, 4, **{"seed": 0, "loss": "mse", **options})


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def assert_same(path, *histories):
    """The file has these histories, one after the other, with all their digits."""
    found = rows(path)
    wanted = [h.arrays() for h in histories]
    assert [row["epoch"] for row in found] == [str(i + 1) for h in histories for i in range(len(h))]
    for name in wanted[0]:
        own = [float(row[name]) for row in found]
        np.testing.assert_array_equal(own, np.concatenate([each[name] for each in wanted]))
    assert set(found[0]) == {"epoch", *wanted[0]}


def test_a_line_an_epoch(tmp_path):
    path, seen = tmp_path / "log.csv", []

    def read(m, history):
        seen.append(path.read_text())
        assert_same(path, history)

    h = model().fit(X, Y, epochs=4, callbacks=[CSVLogger(path), read], **SETTINGS)
    assert_same(path, h)
    assert all(text.endswith("\n") for text in seen)
    assert all(b.startswith(a) for a, b in pairwise(seen))


def test_a_new_training_replaces_the_file_or_goes_on_after_it(tmp_path):
    path, m = tmp_path / "log.csv", model()
    log = CSVLogger(str(path))
    m.fit(X, Y, epochs=3, callbacks=[log], **SETTINGS)
    first = m.fit(X, Y, epochs=2, callbacks=[log], **SETTINGS)
    assert_same(path, first)
    log = CSVLogger(path, append=True)
    second = m.fit(X, Y, epochs=2, callbacks=[log], **SETTINGS)
    third = m.fit(X, Y, epochs=1, callbacks=[log], **SETTINGS)
    assert_same(path, first, second, third)


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("order", [1, -1])
def test_a_resumed_training_repeats_no_epoch(append, every, order, tmp_path):
    """Stopped before or after the line is written; the checkpoint may be some epochs old."""
    path, before = tmp_path / "log.csv", []
    if append:
        before = [model().fit(X, Y, epochs=2, callbacks=[CSVLogger(path)], **SETTINGS)]

    def crash(m, history):
        if len(history) == 5:
            raise ZeroDivisionError

    settings = {**SETTINGS, "epochs": 7, "checkpoint": tmp_path / "c", "checkpoint_every": every}
    with pytest.raises(ZeroDivisionError):
        calls = [CSVLogger(path, append), crash][::order]
        model().fit(X, Y, callbacks=calls, **settings)
    h = model().fit(X, Y, resume=True, callbacks=[CSVLogger(path, append)], **settings)
    assert_same(path, *before, h)


def test_a_line_that_was_cut_and_a_file_that_is_gone(tmp_path):
    path, m = tmp_path / "log.csv", model()
    first = m.fit(X, Y, epochs=2, callbacks=[CSVLogger(path)], **SETTINGS)
    path.write_text(path.read_text() + "3,0.12")

    def remove(m, history):
        if len(history) == 2:
            path.unlink()

    second = m.fit(X, Y, epochs=1, callbacks=[CSVLogger(path, append=True)], **SETTINGS)
    assert_same(path, first, second)
    h = m.fit(X, Y, epochs=3, callbacks=[CSVLogger(path), remove], **SETTINGS)
    assert_same(path, h)


def test_measures_that_are_not_numbers(tmp_path):
    h = model().fit(X, np.zeros(30), epochs=1, callbacks=[CSVLogger(tmp_path / "log.csv")])
    assert np.isnan(h.r2[0])
    assert_same(tmp_path / "log.csv", h)


def test_pandas_reads_it(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "log.csv"
    h = model().fit(X, Y, epochs=2, callbacks=[CSVLogger(path)], **SETTINGS)
    found = pandas.read_csv(path, index_col="epoch")
    pandas.testing.assert_frame_equal(found, h.to_frame(), rtol=1e-14, check_index_type=False)


def test_what_is_refused(tmp_path):
    for value in (None, 3, "", b"\0"):
        with pytest.raises((TypeError, ValueError), match="^path must be"):
            CSVLogger(value)
    with pytest.raises(TypeError, match="^append must be"):
        CSVLogger(tmp_path / "log.csv", append=1)
    with pytest.raises(FileNotFoundError, match="path: there is no folder"):
        CSVLogger(tmp_path / "none" / "log.csv")
    with pytest.raises(IsADirectoryError):
        CSVLogger(tmp_path)
    path = tmp_path / "log.csv"
    model().fit(X, Y, epochs=1, callbacks=[CSVLogger(path)], **SETTINGS)
    text = path.read_text()
    with pytest.raises(ValueError, match="^append=True: .* has the columns epoch,loss,mse,r2,val"):
        model().fit(X, Y, epochs=1, callbacks=[CSVLogger(path, append=True)])
    assert path.read_text() == text
