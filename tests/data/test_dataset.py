"""Training on data that is not in memory: files, and anything with slices."""

from __future__ import annotations

import itertools
import threading
from time import sleep

import numpy as np
import pytest
from common import assert_same_bits, flat, learned

from rnn_fast import GRU, LSTM, DivergedError, SimpleRNN
from rnn_fast.data.dataset import Dataset
from rnn_fast.data.prefetch import GROUP_ITEMS, GROUP_SECONDS, read_ahead
from rnn_fast.data.splits import Split
from rnn_fast.layout.network import Network
from rnn_fast.tuning import tuned

RNG = np.random.default_rng(0)
X = RNG.standard_normal((103, 5, 2)).astype("f4")
Y = X.sum((1, 2))


NET = Network("gru", np.dtype("f4"), 2, 4, 1, "mse")


def model(**settings):
    return GRU(2, 4, **{"seed": 0, "loss": "mse", **settings})


class Source:
    """Anything with a shape, a dtype and slices."""

    def __init__(self, array, broken=None):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read, self.broken = [], broken

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        self.read.append(rows.indices(len(self))[:2])
        if self.broken is not None and rows.start == self.broken:
            raise OSError(5, "Input/output error")
        return self.array[rows]


def stored(kind, tmp_path, array, name="X"):
    """`array` as something that is read from disk."""
    path = tmp_path / f"{name}.npy"
    np.save(path, array)
    if kind == "path":
        return str(path)
    if kind == "memmap":
        return np.load(path, mmap_mode="r")
    if kind == "slices":
        return Source(array)
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        return h5py.File(tmp_path / f"{name}.h5", "w").create_dataset(name, data=array)
    zarr = pytest.importorskip("zarr")
    options = {"mode": "w", "shape": array.shape, "dtype": array.dtype}
    made = zarr.open_array(str(tmp_path / f"{name}.zarr"), **options)
    made[...] = array
    return made


KINDS = ["path", "memmap", "slices", "hdf5", "zarr"]


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_from_disk_have_the_bits_of_those_in_memory(kind, tmp_path):
    settings = {"epochs": 3, "batch_size": 8, "shuffle_block": 24, "validation_split": 0.2}
    x, y = stored(kind, tmp_path, X), stored(kind, tmp_path, Y, "y")
    one, two = model(), model()
    assert_same_bits(learned(one, X, Y, **settings), learned(two, x, y, **settings))
    settings["shuffle_block"] = 1000  # one block: as without
    one, two, three = model(), model(), model()
    wanted = learned(one, X, Y, **settings)
    assert_same_bits(wanted, learned(two, x, y, **settings))
    del settings["shuffle_block"]
    assert_same_bits(wanted, learned(three, X, Y, **settings))


def test_everything_is_cut_with_the_sequences():
    """Lengths, masks, weights, states, class weights: with one block's data, bit by bit."""
    rng = np.random.default_rng(1)
    lengths, mask = rng.integers(1, 6, 103), rng.random((103, 5)) < 0.7
    mask[24:48] = False  # a block in which nothing counts
    y = rng.integers(0, 3, (103, 5))
    state = tuple(rng.standard_normal((2, 1, 103, 4)))
    options = {"return_sequences": True, "loss": "cross_entropy", "dtype": "f8"}
    settings = {"shuffle": False, "epochs": 2, "batch_size": 8}
    weights = rng.random((103, 5))
    found = []
    for source in (lambda a: a, Source):
        m = LSTM(2, 4, 3, seed=0, **options)
        own = {"mask": source(mask), "sample_weight": source(weights), "initial_state": state}
        own |= {"lengths": source(lengths), "class_weight": "balanced"}
        block = {"shuffle_block": 24} if source is Source else {}
        found.append(learned(m, source(X), source(y), **own, **settings, **block))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_predictions_and_measures_of_what_is_on_disk():
    m, source = model(), Source(X)
    with tuned(block_bytes=1000):
        assert_same_bits(m.predict(source, return_state=True), m.predict(X, return_state=True))
        assert len(source.read) > 3
        assert m.evaluate(source, Y) == pytest.approx(m.evaluate(X, Y), rel=1e-12)
        h = m.fit(X, Y, epochs=1, validation_data=(source, Y))
    assert h.val_r2[0] == pytest.approx(m.evaluate(X, Y)["r2"], rel=1e-12)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_with_all(save, tmp_path):
    lengths = RNG.integers(1, 6, 103)
    path = tmp_path / "data.npz"
    save(path, X=X, y=Y, lengths=lengths)
    one, two = model(), model()
    wanted = learned(one, X, Y, lengths=lengths, epochs=2)
    assert_same_bits(wanted, learned(two, path, path, epochs=2))


def test_every_sequence_is_seen_once_an_epoch_in_an_order_of_its_own():
    orders = []
    dataset = Dataset(NET, Source(X), Y, block=24)
    part, generator = dataset.whole(), np.random.default_rng(0)
    for _ in range(3):
        seen = []
        for visit in part.epoch(generator, 8):
            x, starts, _ = visit.block.inputs.sequences
            seen += x[starts[visit.order], 0].tolist()
        orders.append(seen)
        assert sorted(seen) == sorted(X[:, 0, 0].tolist())
    assert orders[0] != orders[1] != orders[2]
    assert part.batches(8) == 13 and len(part) == 103


def test_a_share_of_each_block_is_held_out():
    dataset = Dataset(NET, Source(X), Y, block=24)
    train, held = Split(dataset, 0.25).draw(np.random.default_rng(0))
    assert train.sizes == [18, 18, 18, 18, 5] and held.sizes == [6, 6, 6, 6, 2]
    for k in range(5):
        both = np.concatenate([train.samples(k), held.samples(k)])
        assert sorted(both) == list(range(len(both)))
    with pytest.raises(ValueError, match="^validation_split=0.9 of 1 sequences leaves none"):
        model().fit(Source(X[:25]), Y[:25], shuffle_block=24, validation_split=0.9)


def test_blocks_are_as_large_as_they_may_be():
    with tuned(block_bytes=40 * 50):  # a sequence has 40 bytes
        dataset = Dataset(NET, Source(X), Y, batch_size=16)
        assert dataset.blocks[0] == (0, 48) and len(dataset) == 103
        dataset = Dataset(NET, Source(X), Y, batch_size=100)
        assert dataset.blocks == [(0, 100), (100, 103)]
        assert Dataset(NET, Source(X[:40]), Y[:40]).blocks == [(0, 40)]


# ------------------------------------------------------------------------------- what goes wrong


def test_a_read_error_ends_the_training_between_two_updates(tmp_path):
    m = model()
    with pytest.raises(OSError, match=r"^\[Errno 5\] X\[48:72\] cannot be read: .*Input/output"):
        m.fit(Source(X, broken=48), Y, epochs=3, batch_size=8, shuffle_block=24, shuffle=False)
    two = model()
    two.fit(X[:48], Y[:48], epochs=1, batch_size=8, shuffle=False)
    np.testing.assert_array_equal(flat(m), flat(two))


def test_values_that_are_not_finite_are_named_by_their_block():
    bad = X.copy()
    bad[50, 3, 1] = np.nan
    m = model()
    with pytest.raises(ValueError, match=r"^X\[48:72\]\[2, 3, 1\] = nan is not finite"):
        m.fit(Source(bad), Y, batch_size=8, shuffle_block=24)
    assert np.isfinite(flat(m)).all()
    m, before = model(), flat(model())
    with pytest.raises(DivergedError):
        m.fit(Source(bad), Y, batch_size=8, shuffle_block=24, check_finite=False)
    np.testing.assert_array_equal(flat(m), before)


@pytest.mark.parametrize(
    ("x", "y", "settings", "message"),
    [
        (X[:, :, :1], Y, {}, r"X must have shape \(N, T, 2\)"),
        (X[:, 0], Y, {}, r"X must have shape \(N, T, 2\)"),
        (X, Y[:50], {}, "y must have 103 entries, as X has; got 50"),
        (X, Y, {"lengths": [1, 2]}, "lengths must have 103 entries, as X has; got 2"),
        (X, Y, {"shuffle_block": 0}, "shuffle_block must be at least 1; got 0"),
        (X, np.stack([Y, Y], 1), {}, r"y\[96:103\] must have shape"),
    ],
)
def test_what_does_not_fit_is_known_at_once(x, y, settings, message):
    m = model()
    before = flat(m)
    with pytest.raises(ValueError, match=f"^{message}"):
        m.fit(Source(x), Source(y), **{"shuffle_block": 24, **settings})
    np.testing.assert_array_equal(flat(m), before)


def test_targets_that_are_none():
    m = model()
    for call in (m.fit, m.evaluate, m.loss_and_gradients):
        with pytest.raises(TypeError, match="^y must be the targets of the sequences; got None$"):
            call(X, None)
    with pytest.raises(TypeError, match="^validation y must be the targets"):
        m.fit(X, Y, validation_data=(X, None))
    with pytest.raises(TypeError, match=r"^batches\[0\] y must be the targets"):
        m.fit_stream([(X, None)])


@pytest.mark.parametrize("x", [np.zeros(()), np.zeros((0, 5, 2)), np.zeros(0), [], [[], []]])
def test_empty_arrays(x):
    for value in (x, Source(np.asarray(x))):
        with pytest.raises(ValueError, match=r"^X must have shape \(N, T, 2\)"):
            model().fit(value, Y)


def test_the_reader_ends_with_the_training():
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        for _ in read_ahead(lambda i: i, itertools.count()):
            1 / 0  # noqa: B018
    for _ in range(100):
        if threading.active_count() == before:
            break
        sleep(0.05)
    assert threading.active_count() == before


@pytest.mark.parametrize(("seconds", "ahead"), [(2 * GROUP_SECONDS, 3), (0.0, 3 * GROUP_ITEMS)])
def test_reading_is_one_ahead_and_no_more(seconds, ahead):
    """Items that are read quickly come in groups."""
    read = []
    for i in read_ahead(lambda i: sleep(seconds) or read.append(i) or i, range(60)):
        sleep(0.003)
        assert len(read) <= i + ahead
    assert read == list(range(60))


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield from range(5)
        raise ZeroDivisionError

    seen = []
    with pytest.raises(ZeroDivisionError):
        for i in read_ahead(lambda i: i, items()):
            seen.append(i)
    assert seen == list(range(5))


def test_a_memoryview_is_a_state_of_blocks():
    state = np.random.default_rng(3).standard_normal((1, 40, 4))
    X = np.random.default_rng(4).standard_normal((40, 5, 2))
    found = []
    for each in (state, memoryview(state), state.tolist()):
        m = GRU(2, 4, loss="mse", seed=0)
        m.fit(X, X.sum((1, 2)), initial_state=each, shuffle_block=16, epochs=1, verbose=0)
        found.append(m.Whh.copy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("bad", [np.ma.masked, np.float64(1.0), np.array(1.0)])
def test_a_list_of_weights_may_hold_arrays_without_axes(bad):
    X = np.zeros((2, 5, 2))
    m = GRU(2, 4, return_sequences=True, loss="mse", seed=0)
    if bad is np.ma.masked:
        with pytest.raises(TypeError, match=r"^sample_weight\[1\] is masked"):
            m.loss_and_gradients(X, X[:, :, 0], sample_weight=[1.0, bad])
    else:
        m.loss_and_gradients(X, X[:, :, 0], sample_weight=[1.0, bad])


@pytest.mark.parametrize("method", ["fit", "evaluate", "loss_and_gradients"])
def test_weights_whose_sum_is_infinite_are_refused(method):
    """The mean loss would be 0, whatever the loss is."""
    model, weights = SimpleRNN(2, 3, dtype="f8", seed=0), np.full(4, 1e308)
    with pytest.raises(ValueError, match=r"^sample_weight .* sum is infinite"):
        getattr(model, method)(np.zeros((4, 3, 2)), np.zeros(4), sample_weight=weights)
    model.evaluate(np.zeros((4, 3, 2)), np.zeros(4), sample_weight=weights / 8)
