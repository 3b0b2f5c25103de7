"""Windows of series: which rows they hold, of arrays, tables and several series."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rnn_fast import GRU, Windows, windows

SERIES = np.arange(60.0).reshape(20, 3)


def by_hand(series, length, horizon, stride=1, ahead=1):
    """Windows of a series one after the other, as lists."""
    X, y, start = [], [], 0
    while start + length - 1 + ahead + horizon <= len(series):
        X.append(series[start : start + length])
        first = start + length - 1 + ahead
        y.append(series[first : first + horizon])
        start += stride
    return np.array(X), np.array(y)


@pytest.mark.parametrize(
    "length, horizon, stride, ahead",
    [
        (4, 2, 1, 1),
        (1, 1, 1, 1),
        (4, 3, 3, 1),
        (5, 1, 2, 0),
        (3, 2, 1, 6),
        (12, 8, 7, 1),
        (2, 4, 1, 0),
    ],
)
def test_rows_of_windows(length, horizon, stride, ahead):
    X, y = windows(SERIES, length, horizon, stride=stride, ahead=ahead)
    wanted = by_hand(SERIES, length, horizon, stride, ahead)
    np.testing.assert_array_equal(X, wanted[0])
    np.testing.assert_array_equal(y, wanted[1])
    assert np.shares_memory(X, SERIES) and np.shares_memory(y, SERIES)


def test_columns_of_an_array():
    X, y = windows(SERIES, 4, 2, inputs=[2, 0], targets=1)
    wanted = by_hand(SERIES, 4, 2)
    np.testing.assert_array_equal(X, wanted[0][:, :, [2, 0]])
    np.testing.assert_array_equal(y, wanted[1][:, :, 1])
    assert windows(SERIES, 4, 2, inputs=1)[0].shape == (15, 4, 1)
    X, y = windows(SERIES[:, 0], 4, 2)
    assert X.shape == (15, 4, 1) and y.shape == (15, 2)


def test_parts_share_no_row():
    parts = windows(SERIES, 3, 1, split=(0.5, 0.75))
    rows = [set(np.ravel(X).tolist()) | set(np.ravel(y).tolist()) for X, y in parts]
    assert [len(X) for X, _ in parts] == [7, 2, 2]
    assert rows == [set(range(30)), set(range(30, 45)), set(range(45, 60))]


@pytest.mark.parametrize("stride", [1, 2])
def test_several_series_are_not_mixed(stride):
    parts = [SERIES, -SERIES[:3], -SERIES[:9]]  # the second is too short for a window
    X, y = windows(parts, 4, 2, stride=stride)
    wanted = [by_hand(part, 4, 2, stride) for part in (parts[0], parts[2])]
    for found, k in ((X, 0), (y, 1)):
        np.testing.assert_array_equal(found, np.concatenate([each[k] for each in wanted]))
    assert isinstance(X, Windows) and X.shape == np.asarray(X).shape and len(X) == len(y)


def test_windows_are_indexed_as_arrays():
    X, _ = windows([SERIES, SERIES + 100], 4, 2)
    whole = np.asarray(X)
    mask = np.arange(len(X)) % 3 == 0
    for index in (3, -1, slice(2, 9, 2), [5, 0, 5], mask, np.array([], int)):
        np.testing.assert_array_equal(X[index], whole[index])
    np.testing.assert_array_equal(X[:, -1, 0], whole[:, -1, 0])
    np.testing.assert_array_equal(X[3, :, 1], whole[3, :, 1])
    assert np.asarray(X, "f4").dtype == np.float32 and repr(X) == "<Windows (30, 4, 3) of float64>"
    with pytest.raises(IndexError):
        X[30]


def test_missing_numbers():
    series = SERIES.copy()
    series[7, 1] = np.nan
    with pytest.raises(
        ValueError, match="series has missing numbers, first in the window from row 2"
    ):
        windows(series, 4, 2)
    X, y = windows(series, 4, 2, drop_missing=True)
    wanted, kept = by_hand(series, 4, 2), [0, 1, 8, 9, 10, 11, 12, 13, 14]
    np.testing.assert_array_equal(X, wanted[0][kept])
    np.testing.assert_array_equal(y, wanted[1][kept])
    X, _ = windows(series, 4, 2, targets=1, inputs=[0, 2], drop_missing=True)
    assert len(X) == 13  # those of the two targets
    assert len(windows(series, 4, 2, targets=0, inputs=[0, 2])[0]) == 15
    X, y = windows(series, 4, 2, targets=1, inputs=[0, 2], missing="nan")
    assert len(X) == 15 and np.isnan(y).sum() == 2
    with pytest.raises(ValueError, match="missing numbers"):
        windows(series, 4, 2, missing="nan")
    with pytest.raises(ValueError, match="missing must be one of 'nan'"):
        windows(series, 4, 2, missing="NaN")


def frame(pandas, **options):
    index = pandas.date_range("2020-01-01", periods=20, freq="D", **options)
    return pandas.DataFrame(SERIES, columns=["rain", "heat", "flow"], index=index)


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_frames(zone):
    table = frame(pytest.importorskip("pandas"), tz=zone)
    table["name"] = "a"  # is not asked for
    options = {"inputs": ["rain", "heat"], "targets": "flow"}
    X, y = windows(table, 4, 2, **options)
    wanted = by_hand(SERIES, 4, 2)
    np.testing.assert_array_equal(X, wanted[0][:, :, :2])
    np.testing.assert_array_equal(y, wanted[1][:, :, 2])
    one, two = windows(table, 4, 2, split=("2020-01-11",), **options)
    assert one[0].max() == 3 * 7 + 1 and two[0].min() == 30
    with pytest.raises(TypeError, match=r"series\['name'\] must hold real numbers"):
        windows(table, 4)
    X, y = windows(table["flow"], 4, 2)
    np.testing.assert_array_equal(y, wanted[1][:, :, 2])


def test_gaps_of_an_index():
    pandas = pytest.importorskip("pandas")
    table = frame(pandas).drop(index=["2020-01-06"])
    with pytest.raises(ValueError, match="series has missing rows, first in the window from row 0"):
        windows(table, 4, 2)
    X, _ = windows(table, 4, 2, drop_missing=True)
    assert np.asarray(X)[:, 0, 0].tolist() == [3.0 * day for day in range(6, 15)]
    months = pandas.Series(range(24), pandas.date_range("2020-01-01", periods=24, freq="MS"))
    assert len(windows(months, 4)[0]) == 20
    with pytest.raises(ValueError, match="missing rows"):
        windows(months.drop(index=["2020-07-01"]), 4)
    with pytest.raises(ValueError, match="series must have an index that ascends"):
        windows(months[::-1], 4)
    with pytest.raises(TypeError, match="an index of several levels"):
        windows(pandas.concat({"a": months, "b": months}), 4)


def test_what_pandas_calls_missing():
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([1, 2, None, 4, 5, 6, 7], dtype="Int64")
    with pytest.raises(ValueError, match="missing numbers"):
        windows(column, 2)
    X, y = windows(
        pandas.DataFrame({"a": column, "b": range(7)}), 2, targets="a", drop_missing=True
    )
    np.testing.assert_array_equal(np.asarray(X)[:, :, 0], [[4, 5], [5, 6]])
    np.testing.assert_array_equal(y, [[6], [7]])


def labelled():
    """Arrays with labels as xarray has them, without xarray."""
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2020-01-01", periods=20)

    class Labelled(np.ndarray):
        def transpose(self, *dims):
            same = dims == self.dims
            return np.asarray(self) if same else np.asarray(self).T

    array = SERIES.T.view(Labelled)
    array.dims, array.indexes = (
        ("column", "time"),
        {"time": days, "column": pandas.Index(["a", "b", "c"])},
    )
    return array


def test_labelled_arrays():
    X, y = windows(labelled(), 4, 2, inputs=["a", "b"], targets="c")
    wanted = by_hand(SERIES, 4, 2)
    np.testing.assert_array_equal(X, wanted[0][:, :, :2])
    np.testing.assert_array_equal(y, wanted[1][:, :, 2])


def test_xarray():
    xarray, pandas = pytest.importorskip("xarray"), pytest.importorskip("pandas")
    days = pandas.date_range("2020-01-01", periods=20)
    names = {"time": days, "column": ["a", "b", "c"]}
    array = xarray.DataArray(SERIES.T, dims=("column", "time"), coords=names)
    wanted, options = by_hand(SERIES, 4, 2), {"inputs": ["a", "b"], "targets": "c"}
    for thing in (array, array.T, array.to_dataset("column")):
        X, y = windows(thing, 4, 2, **options)
        np.testing.assert_array_equal(X, wanted[0][:, :, :2])
        np.testing.assert_array_equal(y, wanted[1][:, :, 2])
        (X, _), (after, _) = windows(thing, 4, 2, split=("2020-01-11",), **options)
        assert X.max() == 3 * 7 + 1 and after.min() == 30
    assert np.shares_memory(windows(array.T, 4)[0], SERIES)
    with pytest.raises(ValueError, match="missing rows"):
        windows(array.drop_isel(time=5), 4)


def test_nothing_is_imported():
    code = (
        "import sys, numpy, rnn_fast; rnn_fast.windows(numpy.zeros((9, 2)), 3);"
        "print([name for name in ('pandas', 'xarray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"length": 0}, ValueError, "length must be at least 1"),
        ({"horizon": 0}, ValueError, "horizon must be at least 1"),
        ({"ahead": -1}, ValueError, "ahead must be at least 0"),
        ({"length": 20}, ValueError, "part 0 of the series has no window; one takes 21 rows"),
        ({"series": np.zeros((2, 3, 4))}, ValueError, r"series must have shape \(T,\) or \(T, C\)"),
        ({"series": [SERIES, np.zeros((2, 3, 4))]}, ValueError, r"series\[1\] must have shape"),
        ({"series": [SERIES, SERIES[:, :2]]}, ValueError, r"series\[1\] must have the columns"),
        ({"series": "flow.csv"}, TypeError, "series must hold real numbers"),
        ({"inputs": [3]}, ValueError, r"inputs: series has no column 3; it has \[0, 1, 2\]"),
        ({"targets": []}, ValueError, "targets must name at least one column"),
        ({"series": SERIES[:, 0], "inputs": 0}, ValueError, "inputs: series has no columns"),
        ({"split": 0.5}, TypeError, "split must be a tuple of fractions or dates"),
        ({"split": (0.7, 0.15, 0.15)}, ValueError, "split must ascend"),
        ({"split": (0.7, 1.5)}, ValueError, "split must be fractions between 0 and 1"),
        ({"split": ("2020",)}, TypeError, "split: series has no index of dates"),
        ({"split": (0.5, 0.6)}, ValueError, "part 1 of the series has no window"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        windows(**{"series": SERIES, "length": 3, **arguments})


@pytest.mark.usefixtures("one_tile")
def test_a_model_reads_windows_as_the_arrays_that_they_are():
    one, two = np.random.default_rng(0).standard_normal((2, 40, 2))
    one[17, 0] = np.nan
    X, y = windows([one, two], 5, inputs=[0, 1], targets=1, drop_missing=True)

    def trained(X):
        model = GRU(2, 4, seed=0, loss="mse")
        model.fit(X, y, epochs=2, batch_size=8, shuffle_block=24, verbose=0)
        return model.Whh

    np.testing.assert_array_equal(trained(X), trained(np.asarray(X)))
