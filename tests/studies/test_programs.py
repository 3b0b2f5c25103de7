"""Programs that a study needs are compiled by other processes, before it starts."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from rnn_fast import grid
from rnn_fast.studies.plan import Planner
from rnn_fast.studies.programs import needs_of, trial
from rnn_fast.studies.sources import Sources

STUDY = """
import sys
import numpy as np
from rnn_fast import GRU, fit_many, grid
X, y = np.ones((6, 3, 2)), np.arange(6) % 2
rows = [{"train": [0, 1, 2], "validation": [3, 4, 5], "hidden_size": h} for h in (2, 17)]
with fit_many(GRU, rows, X, y, input_size=2, epochs=5, n_jobs=2, verbose=0) as study:
    print(study.counts(), "numba" in sys.modules)
with fit_many(GRU, rows, X, y, input_size=2, epochs=2, n_jobs=2, verbose=2) as study:
    pass
"""


def planned(rows, X, y):
    sources = Sources(X, y)
    return sources, Planner("gru", sources, {"input_size": 2, "epochs": 5}).runs(rows)


def test_runs_that_need_the_same_programs_are_tried_once():
    X, y = np.zeros((8, 3, 2)), np.zeros(8)
    rows = grid(hidden_size=[2], seed=[1, 2], learning_rate=[0.1, 0.2], l2=[None, 1.0])
    assert len({needs_of(run) for run in planned(rows, X, y)[1]}) == 1
    changes = ({"batch_size": 3}, {"dtype": "float64"}, {"optimizer": "adam"}, {"bptt": 2})
    other = [{"hidden_size": 2, **change} for change in changes]
    assert len({needs_of(run) for run in planned(other, X, y)[1]}) == 4


def test_a_trial_is_one_batch_of_the_longest_sequences():
    X = [np.zeros((n, 2)) for n in (3, 9, 2, 5, 9, 1)]
    rows = [{"hidden_size": 2, "batch_size": 2, "train": [0, 1, 2, 3]}, {"hidden_size": 2}]
    sources, (one, two) = planned(rows, X, np.zeros(6))
    assert trial(one, sources).train.tolist() == [1, 3]
    assert trial(one, sources).config.epochs == 3
    assert trial(two._replace(config=one.config), sources).train.tolist() == [1, 4]


@pytest.mark.sweep
def test_a_study_with_an_empty_cache_compiles_nothing_itself(tmp_path):
    environment = {**os.environ, "RNN_FAST_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", STUDY]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "{'done': 2} False\n"
    assert "compiling" not in done.stderr and done.stderr.count("epochs") == 2
    again = STUDY.replace("verbose=0", "verbose=2")
    environment["RNN_FAST_CACHE_DIR"] = str(tmp_path / "other")
    command[-1] = again
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "compiling" in done.stderr.splitlines()[0]
