"""Shared libraries of models: called from C's side, with the bits of a stream."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from rnn_fast import GRU, LSTM

pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


#: runs steps of a library in a process that knows nothing of the model: a row for each step
SCRIPT = """
import ctypes, json, sys
import numpy as np

path, dtype, outputs, steps, places = json.load(sys.stdin)
library, header = ctypes.CDLL(path), open(path[:-2] + "h").read()
size = int(header.partition("#define TWO_WORDS_BYTES ")[2].split()[0])
y, rows = np.zeros(outputs, dtype), []
memories = {}
for place, step in zip(places, steps):
    if place not in memories or step == "reset":
        memories[place] = memory = np.full(size + 16, 0xAA, np.uint8)  # it begins anywhere
        library.two_words_reset(ctypes.c_void_p(memory.ctypes.data + 8))
    if step == "reset":
        continue
    memory, x = memories[place], np.array(step, np.int64 if type(step) is int else dtype)
    pointers = [ctypes.c_void_p(p) for p in (memory.ctypes.data + 8, x.ctypes.data, y.ctypes.data)]
    done = library.two_words_step(*pointers)
    assert (memory[:8] == 0xAA).all() and (memory[-8:] == 0xAA).all()
    rows.append([float(value).hex() for value in y] if done else None)
print(json.dumps(rows))
"""


class Library:
    """A library in a process of its own."""

    def __init__(self, path, dtype):
        self._path, self._dtype = path, dtype

    def steps(self, steps, places=None):
        """Outputs of the steps, None where one was refused; "reset" begins anew.

        places : list, optional
            The sequence that each step belongs to.
        """
        steps = [step.tolist() if isinstance(step, np.ndarray) else step for step in steps]
        given = [str(self._path), self._dtype.name, 2, steps, places or [0] * len(steps)]
        out = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            input=json.dumps(given),
            capture_output=True,
            text=True,
        )
        assert out.returncode == 0, out.stderr
        rows = json.loads(out.stdout)
        return [row and np.array([*map(float.fromhex, row)], self._dtype) for row in rows]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write models' libraries once: a model, and what makes libraries of its file."""

    @functools.cache
    def write(kind, **options):
        model = kind(3, 9, 2, seed=0, **options)
        path = tmp_path_factory.mktemp("library") / "some.so"
        model.to_library(path, "two_words")
        return model, Library(path, model.dtype)

    return write


STACK = {"loss": "mse", "num_layers": 2, "learn_initial_state": True}


def assert_same(outputs, wanted):
    """The same bits, and the same steps refused."""
    assert [y is None for y in outputs] == [y is None for y in wanted]
    for y, right in zip(outputs, wanted, strict=True):
        if right is not None:
            np.testing.assert_array_equal(y, right)


@pytest.mark.parametrize(("kind", "dtype"), [(LSTM, "float32"), (GRU, "float64")])
def test_a_library_has_the_bits_of_a_stream(written, kind, dtype):
    model, library = written(kind, dtype=dtype, **STACK)
    x = np.random.default_rng(0).standard_normal((7, 3)).astype(dtype)
    outputs = library.steps([*x, "reset", *x])
    assert_same(outputs, [*model.stream().run(x)] * 2)


def test_sequences_at_the_same_time_do_not_meet(written):
    model, library = written(LSTM, dtype="float32", **STACK)
    x = np.random.default_rng(0).standard_normal((2, 6, 3)).astype("f4")
    outputs = library.steps([*np.swapaxes(x, 0, 1).reshape(12, 3)], [0, 1] * 6)
    wanted = np.swapaxes([model.stream().run(sequence) for sequence in x], 0, 1)
    assert_same(outputs, [*wanted.reshape(12, 2)])


def test_a_number_that_is_not_finite_changes_nothing(written):
    model, library = written(LSTM, dtype="float32", **STACK)
    x = np.array([[1, 2, 3], [1, np.nan, 0], [np.inf, 0, 0], [2, 1, 0]], "f4")
    first, last = model.stream().run(x[[0, 3]])
    assert_same(library.steps([*x]), [first, None, None, last])


def test_a_token_that_there_is_not_changes_nothing(written):
    model, library = written(LSTM, embedding_size=4, loss="cross_entropy")
    wanted = model.stream(output="decision_function").run([0, 2, 1])
    assert_same(library.steps([0, 2, 3, -1, 1]), [wanted[0], wanted[1], None, None, wanted[2]])


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        ({}, "two words", "name must be an identifier in C; got 'two words'"),
        ({"bidirectional": True}, "model", "a bidirectional model has no next step"),
    ],
)
def test_bad_arguments(tmp_path, options, name, message):
    with pytest.raises(ValueError, match=message):
        GRU(2, 3, seed=0, **options).to_library(tmp_path / "model.so", name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "false")
    with pytest.raises(RuntimeError, match="false --version failed"):
        GRU(2, 5, loss="mse", seed=0).to_library(tmp_path / "model.so")
    assert list(tmp_path.iterdir()) == []
