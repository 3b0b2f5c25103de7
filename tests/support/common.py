"""Parameters, trainings and processes, in the forms that tests compare."""

from __future__ import annotations

import subprocess
import sys

import numpy as np


def flat(model):
    """Return all parameters of a model as one vector."""
    return np.concatenate([array.ravel() for array in model.parameters.values()])


def learned(model, *arguments, **settings):
    """Fit a model; return its parameters and all of its history but the times."""
    history = model.fit(*arguments, **settings).arrays()
    return [flat(model), *without_times(history).values()]


def without_times(history):
    """Return a history's columns that must not differ from run to run."""
    return {k: v for k, v in history.items() if k not in ("seconds", "sequences_per_second")}


def assert_same_bits(one, two):
    """Check that two sequences of arrays are equal, pair by pair."""
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def run_python(code, *options):
    """Run code in a fresh process; return its standard output.  A failure raises."""
    command = [sys.executable, *options, "-c", code]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    return done.stdout
