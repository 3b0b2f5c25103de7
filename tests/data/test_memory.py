"""Arrays that change while they are used: by callbacks, other threads, sources that lie."""

from __future__ import annotations

import contextlib
import mmap
import sys

import numpy as np
import pytest
from common import flat

from rnn_fast import GRU, SimpleRNN
from rnn_fast.data.arrays import held, real

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5, 2)).astype("f4")
Y = (X.sum((1, 2)) > 0).astype("f4")
TOKENS = RNG.integers(0, 5, (40, 6))
LENGTHS = RNG.integers(1, 6, 40)
CLASSES = RNG.integers(0, 3, 40).astype("f4")


def trained(make, change=None, **arguments):
    """Parameters after three epochs; `change` is called after each."""
    m = make()
    callbacks = [lambda model, history: change(arguments)] if change else []
    m.fit(**arguments, epochs=3, verbose=0, batch_size=8, callbacks=callbacks)
    return flat(m)


# --------------------------------------------------------------------- arrays that are written to

SITUATIONS = {
    "X": (lambda: GRU(5, 4, embedding_size=3, seed=0), {"X": TOKENS, "y": Y}, 10**12),
    "lengths": (lambda: GRU(2, 4, seed=0), {"X": X, "y": Y, "lengths": LENGTHS}, 10**6),
    "y": (
        lambda: GRU(2, 4, 3, seed=0, loss="cross_entropy"),
        {"X": X, "y": CLASSES[:, None]},
        1e30,
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("shuffle_block", [None, 16])
def test_integers_are_those_that_were_checked(name, shuffle_block):
    make, arguments, wild = SITUATIONS[name]
    own = {key: value.copy() for key, value in arguments.items()}
    if shuffle_block:  # each block is checked when it is read
        with pytest.raises(ValueError, match=rf"^{name}\[?.* = "):
            trained(make, lambda a: a[name].fill(wild), **own, shuffle_block=shuffle_block)
        return
    wanted = trained(make, **arguments)
    np.testing.assert_array_equal(trained(make, lambda a: a[name].fill(wild), **own), wanted)


def test_tokens_of_validation_data():
    m, held_out = GRU(5, 4, embedding_size=3, seed=0), TOKENS.copy()
    losses = m.fit(
        TOKENS,
        Y,
        epochs=3,
        learning_rate=0.0,
        validation_data=(held_out, Y),
        callbacks=[lambda model, history: held_out.fill(-(10**12))],
    ).val_loss
    assert len(set(losses)) == 1


@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "mask", "initial_state"])
@pytest.mark.parametrize("value", [0, np.nan])
def test_numbers_of_arithmetic_may_change(name, value):
    """They may, and the training goes on or diverges."""
    arguments = {
        "X": X.copy(),
        "y": np.zeros((40, 5, 1), "f4"),
        "sample_weight": np.ones((40, 5), "f4"),
        "mask": np.ones((40, 5), bool),
        "initial_state": np.zeros((1, 40, 4), "f4"),
    }
    try:
        trained(
            lambda: GRU(2, 4, seed=0, loss="mse", return_sequences=True),
            lambda a: a[name].fill(value),
            **arguments,
        )
    except ArithmeticError as error:
        assert "diverged" in str(error)


def reshape(array):
    array.shape = (2, 100, 2)


def resize(array):
    """NumPy refuses, except where the training has a copy."""
    with contextlib.suppress(ValueError):
        array.resize((4, 5, 2), refcheck=False)


def retype(array):
    array.dtype = np.int32


@pytest.mark.parametrize("change", [reshape, resize, retype])
@pytest.mark.parametrize("kind", [np.ndarray, type("Sub", (np.ndarray,), {})])
@pytest.mark.parametrize("shuffle_block", [None, 16])
@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Setting the dtype:DeprecationWarning")
def test_forms_belong_to_the_training(change, kind, shuffle_block):
    if kind is not np.ndarray and change is resize:
        pytest.skip("NumPy resizes no view")
    own = X.copy() if kind is np.ndarray else X.copy().view(kind)
    again = []

    def after(arguments):
        if not again:
            again.append(change(arguments["X"]))

    settings = {"y": Y, "shuffle_block": shuffle_block}
    wanted = trained(lambda: GRU(2, 4, seed=0), X=X, **settings)
    result = trained(lambda: GRU(2, 4, seed=0), after, X=own, **settings)
    np.testing.assert_array_equal(result, wanted)


def test_arrays_may_be_resized_after_a_training():
    own = X.copy()
    trained(lambda: GRU(2, 4, seed=0), X=own, y=Y)
    own.resize((4, 5, 2), refcheck=False)


class Liar(np.ndarray):
    """A subclass that says anything of itself."""

    shape = property(lambda self: (10**6, 5, 2))
    base = property(lambda self: self)
    dtype = property(lambda self: np.dtype("f8"))
    flags = property(lambda self: None)

    def __len__(self):
        return 10**6

    def view(self, *arguments):
        raise AssertionError

    __array__ = __getitem__ = astype = copy = view


def test_subclasses_that_lie():
    own = real("X", X.view(Liar))
    assert type(own) is np.ndarray and own.shape == X.shape
    np.testing.assert_array_equal(own, X)
    wanted = trained(lambda: GRU(2, 4, seed=0), X=X, y=Y)
    result = trained(lambda: GRU(2, 4, seed=0), X=X.view(Liar), y=Y)
    np.testing.assert_array_equal(result, wanted)


# ----------------------------------------------------------------------------------- memory


def test_memory_stays_in_place_while_an_array_lives():
    raw = bytearray(X.tobytes())
    own = held(np.ndarray(X.shape, "f4", raw))  # NumPy holds no buffer of `raw` here
    with pytest.raises(BufferError):
        raw.extend(b"more")
    part = own[3:5, 0]
    del own
    with pytest.raises(BufferError):
        raw.clear()
    del part
    raw.clear()


def test_mappings_are_not_closed_while_an_array_lives():
    shared = mmap.mmap(-1, X.nbytes)
    own = held(np.ndarray(X.shape, "f4", shared))
    with pytest.raises(BufferError):
        shared.close()
    del own
    shared.close()


def test_memory_of_owners_who_may_free_it_is_copied():
    class Described:
        __array_interface__ = X.__array_interface__

    assert not np.shares_memory(real("X", Described()), X)
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(X)
    own = real("X", tensor)
    tensor.data = torch.zeros(1)  # frees the memory
    np.testing.assert_array_equal(own, X)


@pytest.mark.parametrize("shape", [(0, 3, 2), (), (1,), (3, 1, 2)])
@pytest.mark.parametrize("dtype", ["?", "i1", "f2", ">f4", ">i8", "g", "u8"])
def test_arrays_of_all_kinds_are_held(shape, dtype):
    array = np.ones(shape, dtype)
    for each in (array, np.asfortranarray(array), array[..., None][::-1] if shape else array):
        own = held(each)
        assert own.dtype == each.dtype and own.shape == each.shape and own is not each
        np.testing.assert_array_equal(own, each)
    array.flags.writeable = False
    assert not held(array).flags.writeable
    assert held(own) is own


def test_sliding_windows_are_held_in_place():
    series = np.arange(24.0).reshape(12, 2)
    view = np.lib.stride_tricks.sliding_window_view(series, 5, axis=0)[::2]
    own = held(view)
    assert np.shares_memory(own, series)
    with pytest.raises(ValueError, match="cannot resize"):
        series.resize((1000, 2), refcheck=False)
    np.testing.assert_array_equal(own, view)


# ------------------------------------------------------------------------------ sources that lie


class Source:
    """A dataset on disk that returns what `change` makes of its slices, from a reading on."""

    def __init__(self, array, change=lambda part: part, honest=10**9):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.change, self.honest = change, honest

    def __getitem__(self, rows):
        self.honest -= 1
        return self.change(self.array[rows]) if self.honest < 0 else self.array[rows]


def masked(part):
    part = np.ma.array(part.copy())
    part[1, ...] = np.ma.masked
    return part


SHAPE = r"must have shape \(16, 5, 2\), as before; got \("
LIES = {
    "fewer": (lambda part: part[:3], ValueError, SHAPE + "3"),
    "more": (lambda part: np.repeat(part, 2, 0), ValueError, SHAPE + "32"),
    "longer": (lambda part: np.repeat(part, 2, 1), ValueError, SHAPE + "16, 10"),
    "features": (lambda part: part[..., :1], ValueError, SHAPE + "16, 5, 1"),
    "number": (lambda part: 3.0, ValueError, r"must have shape \(16, 5, 2\), as before; got \(\)"),
    "text": (lambda part: part.astype(str), TypeError, "must hold real numbers; got dtype <U"),
    "object": (lambda part: part.astype(object), TypeError, "must hold real numbers"),
    "none": (lambda part: None, TypeError, "must hold real numbers"),
    "masked": (masked, TypeError, r"\[1, 0, 0\] is masked"),
    "ragged": (lambda part: [[1], [2, 3]], ValueError, "must be an array, equally long"),
}


@pytest.mark.parametrize("kind", LIES)
@pytest.mark.parametrize("honest", [0, 1, 5])
def test_sources_that_change(kind, honest):
    change, error, message = LIES[kind]
    source, m = Source(X, change, honest), GRU(2, 4, seed=0)
    place = r"\[\d+:\d+\] ?" if honest else r"\[32:40\] ?"
    if not honest:  # the last slice has 8 sequences
        message = message.replace("16, 5, 2", "8, 5, 2").replace("16, ", "8, ").replace("32", "16")
    with pytest.raises(error, match=f"^X{place}{message}"):
        m.fit(source, Y, epochs=4, verbose=0, batch_size=8, shuffle_block=16, shuffle=False)
    if honest < 2:
        np.testing.assert_array_equal(flat(m), flat(GRU(2, 4, seed=0)))
    assert np.isfinite(flat(m)).all()


@pytest.mark.parametrize("name", ["y", "lengths", "sample_weight"])
def test_other_arguments_that_change(name):
    arguments = {"y": Y, "lengths": LENGTHS, "sample_weight": np.ones(40)}
    arguments[name] = Source(arguments[name], lambda part: part[:3], 2)
    m = GRU(2, 4, seed=0)
    with pytest.raises(ValueError, match=rf"^{name}\[\d+:\d+\] must have shape \(16,\), as before"):
        m.fit(X, **arguments, epochs=4, verbose=0, batch_size=8, shuffle_block=16)


def test_lists_that_become_shorter():
    y, m = Y.tolist(), GRU(2, 4, seed=0)
    settings = {"epochs": 4, "verbose": 0, "batch_size": 8, "shuffle_block": 16}
    with pytest.raises(ValueError, match=r"^y\[\d+:\d+\] must have (8|16) entries; got \d$"):
        m.fit(X, y, **settings, callbacks=[lambda model, history: y.__delitem__(slice(3, None))])


def test_a_shape_that_promises_the_world():
    source = Source(X)
    source.shape = (10**12, 5, 2)
    with pytest.raises(ValueError, match="must have shape"):
        GRU(2, 4).predict(source)


def test_values_of_another_dtype_are_converted():
    """The dtype of netCDF4's variables is the one on disk; their slices are scaled."""
    wanted = trained(lambda: GRU(2, 4, seed=0), X=X, y=Y, shuffle_block=16)
    source = Source(X, lambda part: part.astype("f8"), 0)
    source.dtype = np.dtype("i2")
    result = trained(lambda: GRU(2, 4, seed=0), X=source, y=Y, shuffle_block=16)
    np.testing.assert_array_equal(result, wanted)


# --------------------------------------------------------------------- buffers that are used again


def reused(arrays):
    buffer = np.empty_like(arrays[0])
    for array in arrays:
        buffer[...] = array
        yield buffer


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("sequences", [False, True])
def test_a_stream_that_fills_one_buffer(dtype, sequences):
    data = RNG.standard_normal((60, 16, 20, 4)).astype(dtype)
    y = data.sum(3) if sequences else data.sum((2, 3))
    weight = RNG.random(y.shape).astype(dtype)

    def items(again):
        for parts in zip(*map(again, (data, y, weight)), strict=True):
            yield dict(zip(("X", "y", "sample_weight"), parts, strict=True))

    def fit(again):
        m = GRU(4, 16, dtype=dtype, seed=0, loss="mse", return_sequences=sequences)
        m.fit_stream(items(again), verbose=0, learning_rate=0.01)
        return flat(m)

    np.testing.assert_array_equal(fit(reused), fit(lambda arrays: map(np.copy, arrays)))


def test_a_source_that_fills_one_buffer():
    buffer = np.empty((16, 5, 2), "f4")

    def filled(part):
        buffer[: len(part)] = part
        return buffer[: len(part)]

    settings = {"y": Y, "shuffle_block": 16}
    wanted = trained(lambda: GRU(2, 4, seed=0), X=X, **settings)
    result = trained(lambda: GRU(2, 4, seed=0), X=Source(X, filled, 0), **settings)
    np.testing.assert_array_equal(result, wanted)


def test_states_of_lists_are_cut_with_the_sequences():
    state = RNG.standard_normal((1, 40, 4))
    settings = {"X": X, "y": Y, "shuffle_block": 16}
    wanted = trained(lambda: GRU(2, 4, seed=0), **settings, initial_state=state)
    result = trained(lambda: GRU(2, 4, seed=0), **settings, initial_state=state.tolist())
    np.testing.assert_array_equal(result, wanted)


# ------------------------------------------------------------------------------------------ masks


def hidden(array, at):
    array = np.ma.array(array.copy(), mask=False)
    array[at] = np.ma.masked
    return array


class Masked:
    """Something that NumPy can make a masked array of."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


HIDDEN = hidden(X, (3, 1, 0))
MASKS = [
    ({"X": HIDDEN}, r"X\[3, 1, 0\]"),
    ({"X": np.ma.masked}, "X"),
    ({"X": Masked(HIDDEN)}, r"X\[3, 1, 0\]"),
    ({"X": list(HIDDEN)}, r"X\[3\]\[1, 0\]"),
    ({"X": [*X[:3].tolist(), [[np.ma.masked, 1]] * 5]}, r"X\[3\]\[0\]\[0\]"),
    ({"X": [*X[:3].tolist(), list(HIDDEN[3])]}, r"X\[3\]\[1\]\[0\]"),
    ({"X": tuple(map(tuple, HIDDEN))}, r"X\[3\]\[1\]\[0\]"),
    ({"X": np.array([HIDDEN[3], X[0][:2]], object)}, r"X\[0\]\[1, 0\]"),
    ({"X": Source(HIDDEN)}, r"X\[3, 1, 0\]"),
    ({"y": hidden(Y, 7)}, r"y\[7\]"),
    ({"y": [*Y[:39], np.ma.masked]}, r"y\[39\]"),
    ({"y": Source(hidden(Y, 7))}, r"y\[7\]"),
    ({"sample_weight": hidden(Y, 7)}, r"sample_weight\[7\]"),
    ({"sample_weight": [*Y[:39], np.ma.masked]}, r"sample_weight\[39\]"),
    ({"lengths": hidden(LENGTHS, 7)}, r"lengths\[7\]"),
    ({"lengths": [*LENGTHS[:39], np.ma.masked]}, r"lengths\[39\]"),
    ({"initial_state": hidden(np.zeros((1, 40, 4)), (0, 2, 1))}, r"initial_state\[0, 2, 1\]"),
    ({"class_weight": {0: np.ma.masked}}, r"class_weight\[0\]"),
    ({"validation_data": (HIDDEN, Y)}, r"validation X\[3, 1, 0\]"),
    ({"validation_data": (X, hidden(Y, 7))}, r"validation y\[7\]"),
]


@pytest.mark.parametrize(("wrong", "place"), MASKS)
def test_masks_are_refused_wherever_they_hide(wrong, place):
    m = SimpleRNN(2, 4, seed=0)
    before = flat(m)
    with pytest.raises(TypeError, match=f"^{place} is masked; fill the masked values or leave"):
        m.fit(**{"X": X, "y": Y, "verbose": 0, **wrong})
    np.testing.assert_array_equal(flat(m), before)


def test_masks_in_a_stream():
    items = [(X, Y), (X, hidden(Y, 7))]
    with pytest.raises(TypeError, match=r"^batches\[1\] y\[7\] is masked"):
        SimpleRNN(2, 4).fit_stream(items, verbose=0)


def test_slices_in_which_nothing_is_masked_pass():
    """Slices of netCDF4 are masked arrays always."""
    source = Source(np.ma.array(X, mask=False))
    wanted = trained(lambda: GRU(2, 4, seed=0), X=X, y=Y)
    np.testing.assert_array_equal(trained(lambda: GRU(2, 4, seed=0), X=source, y=Y), wanted)
    with pytest.raises(TypeError, match="^X is a masked array"):
        trained(lambda: GRU(2, 4, seed=0), X=source.array, y=Y)


def test_deep_lists_end():
    deep: list = [1.0]
    for _ in range(200):
        deep = [deep]
    with pytest.raises((TypeError, ValueError), match="^X must"):
        real("X", deep)
    assert "numpy.ma" in sys.modules
