"""Tables of runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rnn_fast import folds, grid
from rnn_fast.studies.runs import Runs


def test_a_grid_is_all_combinations_the_last_name_fastest():
    runs = grid(hidden_size=[1, 2], seed=range(3))
    assert len(runs) == 6
    assert runs[1] == {"hidden_size": 1, "seed": 1}
    assert [row["hidden_size"] for row in runs] == [1, 1, 1, 2, 2, 2]
    assert repr(runs) == "<6 runs of hidden_size, seed>"


def test_products_and_sums():
    product = grid(a=[1, 2]) * grid(b=[3]) * [{"c": 4}, {"c": 5}]
    assert [*product] == [{"a": a, "b": 3, "c": c} for a in (1, 2) for c in (4, 5)]
    assert len(product + grid(a=[9])) == 5
    with pytest.raises(ValueError, match="both factors have 'a'"):
        grid(a=[1]) * grid(a=[2])


def test_a_data_frame_leaves_out_what_is_missing():
    table = pd.DataFrame([{"a": 1, "b": "x"}, {"b": "y"}, {"a": 3.0}])
    assert [*Runs(table)] == [{"a": 1.0, "b": "x"}, {"b": "y"}, {"a": 3.0}]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: grid(a=5), TypeError, "a must be a list of values; got 5"),
        (lambda: grid(a="adam"), TypeError, "a must be a list of values; got 'adam'"),
        (
            lambda: grid(data={"x": 1}),
            TypeError,
            r"data must be a list of values; got \{'x': 1\}. For its keys, write data=list\(",
        ),
        (lambda: grid(a=[]), ValueError, "a must have at least one value"),
        (lambda: Runs({"a": 1}), TypeError, "runs must be an iterable of dicts"),
        (lambda: Runs(7), TypeError, "runs must be an iterable of dicts"),
        (lambda: Runs([{"a": 1}, 3]), TypeError, r"runs\[1\] must be a dict"),
        (lambda: folds(10), ValueError, "folds needs outer, inner or both"),
        (lambda: folds(10, outer=1), ValueError, "outer must be at least 2"),
        (lambda: folds(0, outer=2), ValueError, "n must be at least 1"),
        (
            lambda: folds(3, outer=4),
            ValueError,
            "outer=4 folds need as many sequences; there are 3",
        ),
        (lambda: folds(4, outer=2, inner=3), ValueError, "inner=3 folds need .*; there are 2"),
        (lambda: folds(4, outer=2, by=[1, 2]), ValueError, r"by must have shape \(4,\)"),
        (lambda: folds(4, outer=2, seed=-1), ValueError, "seed must be at least 0"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_nested_folds_partition_the_sequences():
    rows = [*folds(23, outer=4, inner=3, seed=2)]
    assert [(row["outer"], row["inner"]) for row in rows] == [*np.ndindex(4, 3)]
    for row in rows:
        parts = np.concatenate([row["train"], row["validation"], row["test"]])
        assert sorted(parts) == [*range(23)]
        assert all((np.diff(row[name]) > 0).all() for name in ("train", "validation", "test"))
    tests = [row["test"] for row in rows[::3]]
    assert sorted(np.concatenate(tests)) == [*range(23)]
    held = [row["validation"] for row in rows[:3]]
    assert sorted(np.concatenate([*held, tests[0]])) == [*range(23)]
    assert {len(test) for test in tests} == {5, 6}


def test_single_folds():
    assert set(folds(9, outer=3)[0]) == {"outer", "train", "test"}
    assert set(folds(9, inner=3)[0]) == {"inner", "train", "validation"}


def test_a_seed_draws_other_folds():
    one, same, other = (folds(30, outer=2, seed=seed)[0]["test"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_groups_have_folds_of_their_own_that_others_do_not_change():
    by = np.array(["rat", "mouse"] * 12)
    rows = [*folds(24, outer=3, inner=2, by=by)]
    assert [row["by"] for row in rows] == ["rat"] * 6 + ["mouse"] * 6
    assert all((by[row["train"]] == row["by"]).all() for row in rows)
    more = [*folds(30, outer=3, inner=2, by=[*by, *["cat"] * 6])]
    for row, again in zip(rows, more, strict=False):
        np.testing.assert_array_equal(row["train"], again["train"])
