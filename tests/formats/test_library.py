"""Shared libraries of models: called from C's side, with the bits of a stream."""

from __future__ import annotations

import ctypes
import functools
import shutil

import numpy as np
import pytest

from rnn_fast import GRU, LSTM

pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


class Library:
    """A library's functions, with memory of one sequence at an odd address."""

    def __init__(self, path, name, dtype, outputs):
        library, header = ctypes.CDLL(str(path)), path.with_suffix(".h").read_text()
        self._reset, self._step = (getattr(library, f"{name}_{each}") for each in ("reset", "step"))
        size = int(header.partition(f"#define {name.upper()}_BYTES ")[2].split()[0])
        self._memory = np.full(size + 16, 0xAA, np.uint8)
        self._start = ctypes.c_void_p(self._memory.ctypes.data + 8)
        self._y = np.zeros(outputs, dtype)
        self.reset()

    def reset(self):
        self._reset(self._start)

    def step(self, x):
        """The outputs, or None if the step was refused."""
        x = np.ascontiguousarray(x)
        done = self._step(
            self._start, ctypes.c_void_p(x.ctypes.data), self._y.ctypes.data_as(ctypes.c_void_p)
        )
        ends = self._memory[:8], self._memory[-8:]
        assert all((end == 0xAA).all() for end in ends)
        return self._y.copy() if done else None


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write models' libraries once: a model, and what makes libraries of its file."""

    @functools.cache
    def write(kind, **options):
        model = kind(3, 9, 2, seed=0, **options)
        path = tmp_path_factory.mktemp("library") / "some.so"
        model.to_library(path, "two_words")
        return model, lambda: Library(path, "two_words", model.dtype, 2)

    return write


STACK = {"loss": "mse", "num_layers": 2, "learn_initial_state": True}


@pytest.mark.parametrize(("kind", "dtype"), [(LSTM, "float32"), (GRU, "float64")])
def test_a_library_has_the_bits_of_a_stream(written, kind, dtype):
    model, library = written(kind, dtype=dtype, **STACK)
    library, stream = library(), model.stream()
    steps = np.random.default_rng(0).standard_normal((7, 3)).astype(dtype)
    for _ in range(2):
        for x in steps:
            np.testing.assert_array_equal(library.step(x), stream.step(x))
        library.reset()
        stream.reset()


def test_sequences_at_the_same_time_do_not_meet(written):
    model, library = written(LSTM, dtype="float32", **STACK)
    one, other = library(), library()
    x = np.random.default_rng(0).standard_normal((2, 6, 3)).astype("f4")
    outputs = [(one.step(a), other.step(b)) for a, b in zip(*x, strict=True)]
    wanted = np.stack([model.stream().run(sequence) for sequence in x])
    np.testing.assert_array_equal(np.swapaxes(outputs, 0, 1), wanted)


def test_a_number_that_is_not_finite_changes_nothing(written):
    model, library = written(LSTM, dtype="float32", **STACK)
    library, stream = library(), model.stream()
    for x in np.array([[1, 2, 3], [1, np.nan, 0], [np.inf, 0, 0], [2, 1, 0]], "f4"):
        y = library.step(x)
        assert (y is None) == (not np.isfinite(x).all())
        if y is not None:
            np.testing.assert_array_equal(y, stream.step(x))


def test_a_token_that_there_is_not_changes_nothing(written):
    model, library = written(LSTM, embedding_size=4, loss="cross_entropy")
    library, stream = library(), model.stream(output="decision_function")
    for token in (0, 2, 3, -1, 1):
        y = library.step(np.array([token]))
        assert (y is None) == (token not in range(3))
        if y is not None:
            np.testing.assert_array_equal(y, stream.step(token))


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
    with pytest.raises(RuntimeError, match="false failed"):
        GRU(2, 5, loss="mse", seed=0).to_library(tmp_path / "model.so")
    assert list(tmp_path.iterdir()) == []
