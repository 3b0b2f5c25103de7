"""Sizes, rates, choices, dtypes and seeds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from rnn_fast.validation import (
    DTYPES,
    choice,
    fits,
    generator,
    hint,
    path,
    rate,
    real_dtype,
    shown,
    whole,
)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_whole_takes_any_integer(value):
    assert whole("n", value) == 3 and type(whole("n", value)) is int


@pytest.mark.parametrize("value", [True, np.True_, 3.0, np.float32(3), "3", None, [3], 3j])
def test_whole_refuses_what_is_no_integer(value):
    with pytest.raises(TypeError, match="^n must be an integer; got"):
        whole("n", value)


@pytest.mark.parametrize(("value", "least"), [(0, 1), (-1, 0), (1, 2), (np.int64(-5), 0)])
def test_whole_refuses_what_is_too_small(value, least):
    with pytest.raises(ValueError, match=f"^n must be at least {least}; got {value}"):
        whole("n", value, least)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.5), np.int64(0), Fraction(1, 3), 5e-324])
def test_rate_takes_any_real_number(value):
    assert rate("r", value, below=1) == float(value) and type(rate("r", value)) is float


@pytest.mark.parametrize("value", [True, np.True_, "0.1", None, 1j, [0.1], np.array([0.1])])
def test_rate_refuses_what_is_no_real_number(value):
    with pytest.raises(TypeError, match="^r must be a real number; got"):
        rate("r", value)


@pytest.mark.parametrize(
    "value", [-1e-9, np.nan, np.inf, -np.inf, 10**400, np.longdouble("nan"), np.float32("inf")]
)
def test_rate_refuses_what_is_out_of_range(value):
    with pytest.raises(ValueError, match="^r must be finite and not negative; got"):
        rate("r", value)


@pytest.mark.parametrize("value", [1, 1.5, -0.1])
def test_rate_names_its_range(value):
    with pytest.raises(ValueError, match=r"^r must be in \[0, 1\); got"):
        rate("r", value, below=1)


def test_choice():
    assert choice("c", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match="^c must be one of 'a', 'b'; got 'd'"):
        choice("c", "d", ("a", "b"))
    for value in (None, 1, ["a"], b"a"):
        with pytest.raises(TypeError, match="^c must be a string"):
            choice("c", value, ("a", "b"))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_fits(dtype):
    tiny, high = np.nextafter(dtype.type(0), dtype.type(1)), np.finfo(dtype).max
    for value in (0.0, -0.0, 1.0, float(tiny), -float(tiny), float(high), -float(high)):
        assert fits("r", value, dtype) == value
    with pytest.raises(ValueError, match=f"^r = .* is too large for {dtype}"):
        fits("r", -2.0 * float(high), dtype)
    with pytest.raises(ValueError, match="^r = 1e-46 is too small for float32"):
        fits("r", 1e-46, DTYPES[0])


class Failing:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        ("x", "'x'"),
        (np.float32(0.5), repr(np.float32(0.5))),
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
        (10**5000, "a value of type int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_shown(value, text):
    assert shown(value) == text


def test_shown_is_short():
    for value in ("x" * 10**6, b"x" * 10**6, 10**4000, 10**5000, [["x" * 99] * 99] * 99):
        assert len(shown(value)) <= 120
    assert shown(Failing()).startswith("<Failing instance at ")


def test_hint():
    assert hint("Hidden_sizes", ("hidden_size", "loss")) == "; did you mean 'hidden_size'?"
    assert hint("ce", ("bce", "cross_entropy")) == "; did you mean 'cross_entropy'?"
    for value in ("", "c", "hinge", None, 3, "x" * 10**6):
        assert hint(value, ("bce", "cross_entropy")) == ""


def test_path(tmp_path):
    assert path("p", tmp_path) == str(tmp_path) and path("p", "a") == path("p", b"a") == "a"
    for value in (None, 3, ["a"], tmp_path.open):
        with pytest.raises(TypeError, match="^p must be a path; got"):
            path("p", value)
    for value in ("", "a\0b"):
        with pytest.raises(ValueError, match="^p must be a path without a NUL character; got"):
            path("p", value)


@pytest.mark.parametrize("value", ["float32", "f4", np.float32, np.dtype("f4"), "single"])
def test_dtype(value):
    assert real_dtype(value) is np.dtype("f4")


@pytest.mark.parametrize("value", ["f2", "i4", "c8", int, object, "S3"])
def test_dtype_refuses_others(value):
    with pytest.raises(ValueError, match="^dtype must be float32 or float64; got"):
        real_dtype(value)


def test_dtype_must_be_native():
    with pytest.raises(ValueError, match="^dtype must be"):
        real_dtype(np.dtype("f4").newbyteorder())


@pytest.mark.parametrize("value", [None, "floaty", 32, [1, 2]])
def test_dtype_refuses_what_is_none(value):
    with pytest.raises(TypeError, match="^dtype must be float32 or float64; got"):
        real_dtype(value)


def test_generator_takes_what_numpy_takes():
    assert generator(3).integers(1 << 60) == np.random.default_rng(3).integers(1 << 60)
    own = np.random.default_rng(3)
    assert generator(own) is own
    assert generator(np.random.SeedSequence(3)).integers(1 << 60) == generator(3).integers(1 << 60)
    assert generator(None).integers(1 << 60) != generator(None).integers(1 << 60)


@pytest.mark.parametrize("value", [-1, "x", 1.5])
def test_generator_names_the_seed(value):
    with pytest.raises((TypeError, ValueError), match="^seed must be what .*; got "):
        generator(value)
