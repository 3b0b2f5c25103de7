"""The validation border of data: what comes in, what comes out, what is refused and how."""

from __future__ import annotations

import re
import tempfile

import numpy as np
import pytest

from rnn_fast.data import checks
from rnn_fast.layout.network import Network

RNG = np.random.default_rng(0)
DTYPES = ["?", "i1", "u1", "i4", "u8", "i8", "f2", "f4", "f8", "g", ">i4", ">f4", ">f8", "<f8"]


def network(I=2, O=1, loss="bce", dtype="f4"):
    return Network("tanh", np.dtype(dtype), I, 4, O, loss)


def reversed_view(array):
    return array[::-1].copy()[::-1]


def every_second(array):
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


class Frame:
    """Something that NumPy can make an array of, as a data frame."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


LAYOUTS = {
    "plain": np.copy,
    "fortran": np.asfortranarray,
    "reversed": reversed_view,
    "every second": every_second,
    "unaligned": unaligned,
    "read only": read_only,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "list": np.ndarray.tolist,
    "frame": Frame,
}


def assert_fit_for_kernels(result, dtype):
    assert type(result) is np.ndarray and result.dtype == dtype and result.dtype.isnative
    assert result.flags.c_contiguous and result.flags.aligned


def frozen(value):
    """A copy to compare with later, whatever `value` is."""
    return np.array(value, dtype=None, copy=True)


# --------------------------------------------------------------------------------- sequences


@pytest.mark.parametrize("model_dtype", ["f4", "f8"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_real_dtype_and_layout(dtype, layout, model_dtype):
    plain = RNG.integers(0, 2, (5, 3, 2)).astype(dtype)
    given = LAYOUTS[layout](plain)
    before = frozen(given)
    result = checks.sequences("X", given, network(dtype=model_dtype))
    assert_fit_for_kernels(result, model_dtype)
    np.testing.assert_array_equal(result, before)
    np.testing.assert_array_equal(frozen(given), before)


def test_what_fits_is_not_copied():
    X = RNG.standard_normal((5, 3, 2)).astype("f4")
    assert np.shares_memory(checks.sequences("X", X, network()), X)
    y = np.ones((5, 1), "f4")
    assert np.shares_memory(checks.targets("y", y, 5, network()), y)


def test_what_becomes_an_address_is_copied():
    tokens = np.zeros((5, 3), np.int64)
    indices = checks.tokens("X", tokens, network()._replace(embedding=2))
    assert not np.shares_memory(indices, tokens)
    y = np.ones((5, 1), "f4")
    classes = checks.targets("y", y, 5, network(O=3, loss="cross_entropy"))
    assert not np.shares_memory(classes, y)


def test_a_memmap_is_read():
    with tempfile.TemporaryDirectory() as folder:
        X = np.memmap(f"{folder}/x", "f4", "w+", shape=(5, 3, 2))
        X[...] = RNG.standard_normal(X.shape)
        result = checks.sequences("X", X, network())
        assert_fit_for_kernels(result, "f4")
        assert not np.shares_memory(result, X)
        np.testing.assert_array_equal(result, X)


def test_pandas():
    pandas = pytest.importorskip("pandas")
    y = pandas.Series([0, 1, 1], index=[5, 6, 7])
    assert checks.targets("y", y, 3, network()).tolist() == [[0], [1], [1]]
    assert checks.targets("y", pandas.DataFrame(y), 3, network()).tolist() == [[0], [1], [1]]


@pytest.mark.parametrize(
    "shape", [(), (3,), (5, 3), (5, 3, 1), (5, 3, 3), (5, 3, 2, 1), (0, 3, 2), (5, 0, 2), (5, 3, 0)]
)
def test_wrong_shapes(shape):
    message = (
        f"X must have shape (N, T, 2), samples by steps by features, none of them 0; got {shape}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        checks.sequences("X", np.zeros(shape), network())


def test_a_hint_where_one_feature_lacks_its_axis():
    with pytest.raises(ValueError, match=r"one feature per step is X\[:, :, None\]$"):
        checks.sequences("X", np.zeros((5, 3)), network(I=1))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [["a"]],
        b"bytes",
        {"a": 1},
        object(),
        np.zeros((5, 3, 2), object),
        np.zeros((5, 3, 2), complex),
        np.zeros((5, 3, 2), "M8[s]"),
        np.zeros((5, 3, 2), "m8[s]"),
        np.zeros((5, 3, 2), "S1"),
        np.zeros((5, 3, 2), "V4"),
        np.zeros((5, 3, 2), [("a", "f4")]),
        [[[0.0, None]]],
        [[[10**400, 0]]],
        (i for i in range(3)),
    ],
    ids=lambda value: str(getattr(value, "dtype", type(value).__name__)),
)
def test_wrong_kinds(value):
    with pytest.raises(TypeError, match="^X must hold real numbers; got dtype"):
        checks.sequences("X", value, network())


def test_ragged_lists():
    with pytest.raises(ValueError, match="^X must be an array, equally long in each axis"):
        checks.sequences("X", [[[1, 2], [3, 4]], [[5, 6]]], network())


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="^X is a masked array"):
        checks.sequences("X", np.ma.zeros((5, 3, 2)), network())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", ">f4"])
def test_the_first_that_is_not_finite_is_named(bad, dtype):
    X = np.zeros((5, 3, 2), dtype)
    X[4, 0, 0] = X[2, 1, 1] = bad
    with pytest.raises(ValueError, match=rf"^X\[2, 1, 1\] = {bad} is not finite$"):
        checks.sequences("X", X, network())
    with pytest.raises(ValueError, match=r"^X\[2, 1, 1\]"):
        checks.sequences("X", np.asfortranarray(X), network())
    result = checks.sequences("X", X, network(), check_finite=False)
    np.testing.assert_array_equal(result, X)


@pytest.mark.parametrize(
    ("value", "model_dtype"), [(1e39, "f4"), (-1e300, "f4"), (np.longdouble("1e4000"), "f8")]
)
def test_what_is_too_large_for_the_dtype_is_named(value, model_dtype):
    X = np.zeros((5, 3, 2), np.longdouble)
    X[1, 2, 0] = value
    if not np.isfinite(X).all():
        pytest.skip("long double is double here")
    with pytest.raises(ValueError, match=r"^X\[1, 2, 0\] = .* is too large for float"):
        checks.sequences("X", X, network(dtype=model_dtype))


@pytest.mark.parametrize(("largest", "dtype"), [(3.4e38, "f4"), (1.7e308, "f8")])
def test_large_numbers_pass(largest, dtype):
    """Though the sum of their squares overflows."""
    X = np.full((5, 3, 2), largest)
    np.testing.assert_allclose(checks.sequences("X", X, network(dtype=dtype)), X, rtol=1e-7)


def test_tiny_numbers_pass_without_a_word():
    X = np.full((5, 3, 2), 1e-300)
    with np.errstate(all="raise"):
        assert not checks.sequences("X", X, network()).any()


# ----------------------------------------------------------------------------------- targets


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "every second"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["bce", "cross_entropy", "mse"])
def test_targets_of_any_real_dtype_and_layout(loss, dtype, layout):
    plain = RNG.integers(0, 2, 5).astype(dtype)
    given = LAYOUTS[layout](plain)
    before = frozen(given)
    O = 3 if loss == "cross_entropy" else 1
    result = checks.targets("y", given, 5, network(O=O, loss=loss))
    assert_fit_for_kernels(result, "f4")
    assert result.shape == (5, 1)
    np.testing.assert_array_equal(result[:, 0], before)
    np.testing.assert_array_equal(frozen(given), before)


@pytest.mark.parametrize(
    ("loss", "O", "shape"),
    [
        ("bce", 1, (5, 1)),
        ("mse", 1, (5, 1)),
        ("bce", 3, (5, 3)),
        ("mse", 3, (5, 3)),
        ("cross_entropy", 3, (5, 1)),
    ],
)
def test_shapes_of_targets(loss, O, shape):
    assert checks.targets("y", np.ones(shape), 5, network(O=O, loss=loss)).shape == shape


@pytest.mark.parametrize(
    ("loss", "O", "shape", "expected"),
    [
        ("bce", 1, (4,), "(5,) or (5, 1) for 5 sequences and 1 output"),
        ("bce", 1, (), "(5,) or (5, 1) for 5 sequences and 1 output"),
        ("bce", 1, (1, 5), "(5,) or (5, 1) for 5 sequences and 1 output"),
        ("mse", 1, (5, 1, 1), "(5,) or (5, 1) for 5 sequences and 1 output"),
        ("bce", 3, (5,), "(5, 3) for 5 sequences and 3 outputs"),
        ("mse", 3, (5, 2), "(5, 3) for 5 sequences and 3 outputs"),
        ("mse", 3, (15,), "(5, 3) for 5 sequences and 3 outputs"),
        ("cross_entropy", 3, (5, 3), "(5,) or (5, 1) for 5 sequences and cross_entropy, which "
         "takes class indices"),
    ],
)  # fmt: skip
def test_wrong_shapes_of_targets(loss, O, shape, expected):
    message = re.escape(f"y must have shape {expected}; got {shape}")
    with pytest.raises(ValueError, match=f"^{message}$"):
        checks.targets("y", np.ones(shape), 5, network(O=O, loss=loss))


@pytest.mark.parametrize("dtype", ["i8", "f4", "f8", "f2"])
@pytest.mark.parametrize("bad", [-1, 3, 100])
def test_classes_out_of_range(bad, dtype):
    y = np.array([0, 1, 2, bad, bad], dtype)
    for check_finite in (True, False):
        with pytest.raises(ValueError, match=rf"^y\[3\] = {bad}.* is none of the classes 0 .. 2$"):
            checks.targets("y", y, 5, network(O=3, loss="cross_entropy"), check_finite)


@pytest.mark.parametrize("bad", [0.5, 1 + 1e-9, np.nan, np.inf, -np.inf, -1e-9])
def test_classes_that_are_not_whole(bad):
    y = np.array([[0], [1], [bad], [2], [bad]])
    for check_finite in (True, False):
        with pytest.raises(ValueError, match=r"^y\[2, 0\] = .* is none of the classes"):
            checks.targets("y", y, 5, network(O=3, loss="cross_entropy"), check_finite)


def test_classes_beyond_int64():
    y = np.array([0, 2**64 - 1], np.uint64)
    with pytest.raises(ValueError, match=r"^y\[1\] = 18446744073709551615 is none"):
        checks.targets("y", y, 2, network(O=3, loss="cross_entropy"))


@pytest.mark.parametrize("bad", [-0.1, 1.1, 2, -1])
def test_bce_targets_out_of_range(bad):
    with pytest.raises(ValueError, match=rf"^y\[1\] = {bad}.* is not in \[0, 1\]$"):
        checks.targets("y", np.array([1, bad, bad]), 3, network())


def test_bce_takes_probabilities():
    assert checks.targets("y", [0.25, 1], 2, network()).tolist() == [[0.25], [1]]


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_targets_that_are_not_finite(loss):
    y = [[0, 1], [np.nan, np.inf]]
    with pytest.raises(ValueError, match=r"^y\[1, 0\] = nan is not finite$"):
        checks.targets("y", y, 2, network(O=2, loss=loss))
    if loss == "mse":
        result = checks.targets("y", y, 2, network(O=2, loss=loss), check_finite=False)
        np.testing.assert_array_equal(result, y)


# ------------------------------------------------------------ one sequence, its target, parameters


@pytest.mark.parametrize(
    ("I", "shape", "expected"),
    [
        (2, (7, 2), (7, 2)),
        (2, (7, 2, 1), (7, 2)),
        (2, (7, 2, 2), (7, 2, 2)),
        (2, (7, 5, 2), (7, 5, 2)),
        (1, (7, 1), (7, 1)),
        (1, (7, 1, 1), (7, 1)),
        (1, (7, 5, 1), (7, 5, 1)),
        (1, (1, 1, 1), (1, 1)),
    ],
)
def test_sequence_or_batch(I, shape, expected):
    x = RNG.standard_normal(shape).astype("f4")
    result = checks.sequence_or_batch("x", x, network(I=I))
    assert_fit_for_kernels(result, "f4")
    assert result.shape == expected and not np.shares_memory(result, x)
    np.testing.assert_array_equal(result.ravel(), x.ravel())


@pytest.mark.parametrize("shape", [(), (7,), (7, 3), (0, 2), (7, 3, 1), (7, 0, 2), (1, 7, 2, 1)])
def test_neither_sequence_nor_batch(shape):
    with pytest.raises(ValueError, match=rf"^x must have shape .*; got {re.escape(str(shape))}$"):
        checks.sequence_or_batch("x", np.zeros(shape), network())


@pytest.mark.parametrize("value", [1, [1], [[1]], np.float32(1), np.True_, np.ones((1, 1))])
def test_target_of_one_output(value):
    result = checks.target("y", value, network())
    assert_fit_for_kernels(result, "f4")
    assert result.tolist() == [1]


def test_target_of_several_outputs():
    net = network(O=3, loss="mse")
    assert checks.target("y", [1, 2, 3], net).tolist() == [1, 2, 3]
    assert checks.target("y", [[1], [2], [3]], net).tolist() == [1, 2, 3]
    for wrong in (1, [1], [[1, 2, 3]], [1, 2, 3, 4]):
        with pytest.raises(ValueError, match=r"^y must have shape \(3,\) or \(3, 1\) for one"):
            checks.target("y", wrong, net)


def test_classes_that_the_dtype_does_not_tell_apart():
    """`cross_entropy` compares with label - 1/2 and label + 1/2."""
    net = network(O=2**24, loss="cross_entropy")
    assert checks.targets("y", [2**23 - 1], 1, net).tolist() == [[2**23 - 1]]
    message = r"^y\[1\] = 8388608 is too large for float32, which tells the classes 0 .. 8388607"
    with pytest.raises(ValueError, match=message):
        checks.targets("y", [0, 2**23], 2, net)
    assert checks.targets("y", [2**23], 1, net._replace(dtype=np.dtype("f8"))).tolist() == [[2**23]]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("object", np.array([np.zeros((3, 2)), np.zeros((2, 2))], object), "go in a list$"),
        ("generator", (i for i in range(3)), "go to fit_stream$"),
        ("text", [["a"]], "numpy.unique does with return_inverse=True$"),
        ("bytes", np.array([b"a"]), "encode text as numbers"),
        ("complex", np.zeros((5, 3, 2), complex), "real and imaginary parts as two features$"),
        ("time", np.zeros((5, 3, 2), "M8[s]"), "times as numbers, such as seconds$"),
        ("duration", np.zeros((5, 3, 2), "m8[s]"), "times as numbers, such as seconds$"),
        ("none", None, "object$"),
        ("mapping", {"a": 1}, "object$"),
    ],
)
def test_hints_where_other_kinds_are_passed(name, value, message):
    with pytest.raises(TypeError, match=f"^X must hold real numbers; got dtype .*{message}"):
        checks.sequences("X", value, network())


def test_a_hint_where_nan_fills_up_sequences():
    X = np.zeros((5, 3, 2))
    X[1, 2:], X[3, 1:] = np.nan, np.nan
    with pytest.raises(ValueError, match=r"^X\[1, 2, 0\] = nan is not finite; .* by lengths$"):
        checks.sequences("X", X, network())
    for hole in [(0, 1), (2, 0), (4, 2, 1)]:  # before a step that is there; all; one feature
        Y = X.copy()
        Y[hole] = np.nan
        with pytest.raises(ValueError, match="is not finite$"):
            checks.sequences("X", Y, network())


@pytest.mark.parametrize("dtype", ["f4", "i8", "?"])
def test_a_hint_for_one_hot_labels(dtype):
    net, labels = network(O=3, loss="cross_entropy"), np.eye(3, dtype=dtype)
    with pytest.raises(ValueError, match=r"got \(3, 3\); one-hot .* by argmax\(-1\)$"):
        checks.targets("y", labels, 3, net)
    with pytest.raises(ValueError, match=r"got \(3, 3\)$"):
        checks.targets("y", np.ones((3, 3)), 3, net)
    with pytest.raises(ValueError, match=r"got \(3, 3\)$"):
        checks.targets("y", labels, 3, network())


def test_a_hint_for_targets_of_every_step():
    with pytest.raises(ValueError, match=r"got \(5, 7\); .* return_sequences=True$"):
        checks.targets("y", np.ones((5, 7)), 5, network(), steps=7)


def test_target_class():
    net = network(O=3, loss="cross_entropy")
    assert checks.target("y", 2, net).tolist() == [2]
    with pytest.raises(ValueError, match="^y = 3 is none of the classes 0 .. 2$"):
        checks.target("y", 3, net)


def test_parameter():
    assert checks.parameter("p", [[1], [2]], (2,), np.dtype("f4")).tolist() == [1, 2]
    for wrong in (1, [1], [1, 2, 3], [[1, 2]], [[[1]], [[2]]]):
        with pytest.raises(ValueError, match=r"^p must have shape \(2,\); got"):
            checks.parameter("p", wrong, (2,), np.dtype("f4"))
    with pytest.raises(ValueError, match=r"^p\[0, 1\] = nan is not finite"):
        checks.parameter("p", [[1, np.nan]], (1, 2), np.dtype("f4"))
    with pytest.raises(TypeError, match="^p must hold real numbers"):
        checks.parameter("p", ["a", "b"], (2,), np.dtype("f4"))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_all_finite(dtype):
    array = np.full((3, 4), np.finfo(dtype).max, dtype)
    assert checks.all_finite(array) and checks.all_finite(array[:0])
    for bad in (np.nan, np.inf, -np.inf):
        array[2, 3] = bad
        assert not checks.all_finite(array)
