"""Training on what is not in memory: files, datasets, streams."""

from __future__ import annotations

import itertools
import threading
from time import sleep

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, DivergedError, SimpleRNN
from rnn_fast.data.dataset import Dataset
from rnn_fast.data.prefetch import read_ahead
from rnn_fast.tasks import SignOfSum
from rnn_fast.tuning import TUNING

RNG = np.random.default_rng(0)
X = RNG.standard_normal((103, 5, 2)).astype("f4")
Y = X.sum((1, 2))


def model(**settings):
    return GRU(2, 4, **{"seed": 0, "loss": "mse", **settings})


def flat(m):
    return np.concatenate([array.ravel() for array in m.parameters.values()])


def learned(m, *arguments, **settings):
    h = m.fit(*arguments, **settings).arrays()
    rest = {k: v for k, v in h.items() if k not in ("seconds", "sequences_per_second")}
    return [flat(m), *rest.values()]


def assert_same(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


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
    assert_same(learned(one, X, Y, **settings), learned(two, x, y, **settings))
    settings["shuffle_block"] = 1000  # one block: as without
    one, two, three = model(), model(), model()
    wanted = learned(one, X, Y, **settings)
    assert_same(wanted, learned(two, x, y, **settings))
    del settings["shuffle_block"]
    assert_same(wanted, learned(three, X, Y, **settings))


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


def test_predictions_and_measures_of_what_is_on_disk(monkeypatch):
    monkeypatch.setattr(TUNING, "block_bytes", 1000)
    m = model()
    out, state = m.predict(X, return_state=True)
    source = Source(X)
    blocks, last = m.predict(source, return_state=True)
    assert len(source.read) > 3
    np.testing.assert_array_equal(blocks, out)
    np.testing.assert_array_equal(last, state)
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
    assert_same(wanted, learned(two, path, path, epochs=2))


def test_every_sequence_is_seen_once_an_epoch_in_an_order_of_its_own():
    orders = []
    feed = Dataset(model()._net, Source(X), Y, block=24)
    part, generator = feed.whole(), np.random.default_rng(0)
    for _ in range(3):
        seen = []
        for visit in part.epoch(generator, 8):
            x, starts, _ = visit.block.given.sequences
            seen += x[starts[visit.order], 0].tolist()
        orders.append(seen)
        assert sorted(seen) == sorted(X[:, 0, 0].tolist())
    assert orders[0] != orders[1] != orders[2]
    assert part.batches(8) == 13 and len(part) == 103


def test_a_share_of_each_block_is_held_out():
    feed = Dataset(model()._net, Source(X), Y, block=24)
    train, held = feed.split(0.25, np.random.default_rng(0))
    assert train.sizes == [18, 18, 18, 18, 5] and held.sizes == [6, 6, 6, 6, 2]
    for k in range(5):
        both = np.concatenate([train.samples(k), held.samples(k)])
        assert sorted(both) == list(range(len(both)))
    with pytest.raises(ValueError, match="^validation_split=0.9 of 1 sequences leaves none"):
        model().fit(Source(X[:25]), Y[:25], shuffle_block=24, validation_split=0.9)


def test_blocks_are_as_large_as_they_may_be(monkeypatch):
    monkeypatch.setattr(TUNING, "block_bytes", 40 * 50)  # a sequence has 40 bytes
    feed = Dataset(model()._net, Source(X), Y, batch_size=16)
    assert feed.blocks[0] == (0, 48) and len(feed) == 103
    feed = Dataset(model()._net, Source(X), Y, batch_size=100)
    assert feed.blocks == [(0, 100), (100, 103)]
    assert Dataset(model()._net, Source(X[:40]), Y[:40]).blocks == [(0, 40)]


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


def test_reading_is_one_ahead_and_no_more():
    read = []
    for i in read_ahead(lambda i: read.append(i) or i, range(20)):
        sleep(0.01)
        assert len(read) <= i + 3
    assert read == list(range(20))


# ------------------------------------------------------------------------------------ streams


def items(n=8):
    return [(X[i : i + n], Y[i : i + n]) for i in range(0, 96, n)]


def test_a_stream_of_batches_is_fit_without_shuffling():
    wanted = learned(one := model(), X[:96], Y[:96], batch_size=8, shuffle=False, epochs=2)
    for batches, settings in [
        (items(), {"epochs": 2}),
        (itertools.cycle(items()), {"epochs": 2, "steps_per_epoch": 12}),
        (items(), {"epochs": 2, "steps_per_epoch": 12}),
        (items(24), {"epochs": 2, "batch_size": 8}),
        ([{"X": x, "y": y} for x, y in items()], {"epochs": 2}),
    ]:
        m = model()
        h = m.fit_stream(batches, **settings)
        np.testing.assert_array_equal(flat(m), flat(one))
        np.testing.assert_array_equal(h.loss, wanted[1])
        assert h.r2 == pytest.approx(wanted[3], rel=1e-12)
    m = model()
    m.fit_stream(iter(items()))
    assert (flat(m) != flat(one)).any()


def test_a_schedule_goes_by_updates_where_their_number_is_known():
    settings = {"schedule": "cosine", "epochs": 2}
    one, two, three = model(), model(), model()
    one.fit(X[:96], Y[:96], batch_size=8, shuffle=False, **settings)
    two.fit_stream(items(), **settings)
    np.testing.assert_array_equal(flat(one), flat(two))
    three.fit_stream(items(48), batch_size=8, **settings)  # who knows how many there will be?
    assert (flat(one) != flat(three)).any()


def test_lengths_and_weights_in_a_stream():
    lengths, weight = RNG.integers(1, 6, 103), RNG.random(103)
    one, two, three = model(), model(), model()
    own = {"batch_size": 103, "epochs": 1, "shuffle": False}
    one.fit(X, Y, lengths=lengths, sample_weight=weight, **own)
    two.fit_stream([{"X": X, "y": Y, "lengths": lengths, "sample_weight": weight}])
    np.testing.assert_array_equal(flat(one), flat(two))
    three.fit_stream([(X, Y, lengths)])
    assert (flat(one) != flat(three)).any()


def test_tensors_of_pytorch():
    torch = pytest.importorskip("torch")
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=8
    )
    one, two = model(), model()
    one.fit(X, Y, batch_size=8, shuffle=False, epochs=2)
    two.fit_stream(loader, epochs=2)
    np.testing.assert_array_equal(flat(one), flat(two))


def test_fresh_sequences_of_a_task():
    task = SignOfSum(steps=5)
    m = SimpleRNN(hidden_size=16, seed=0, learning_rate=0.3, **task.network)
    h = m.fit_stream(task.batches(32, seed=0), steps_per_epoch=200, epochs=4)
    assert h.accuracy[-1] > 0.9 and len(h) == 4


@pytest.mark.parametrize(
    ("batches", "settings", "error", "message"),
    [
        (3, {}, TypeError, "batches must be an iterable; got int"),
        (iter(items()), {"epochs": 2}, ValueError, "batches is an iterator, .* steps_per_epoch"),
        ([], {}, ValueError, "there is nothing to train on: no batches came"),
        (iter(items()), {"steps_per_epoch": 20}, ValueError, "batches ended before item 13 of 20"),
        ([X], {}, TypeError, r"batches\[0\] must be \(X, y\), .*; got ndarray"),
        ([{"X": X}], {}, ValueError, r"batches\[0\] has no 'y'"),
        ([{"X": X, "y": Y, "z": 1}], {}, ValueError, r"batches\[0\] has 'z', which is none of"),
        ([(X, Y[1:])], {}, ValueError, r"batches\[0\] y must have shape \(103,\)"),
        ([(X, Y), (X[0], Y)], {}, ValueError, r"batches\[1\] X must have shape"),
        ([(X, Y)], {"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be at least 1"),
    ],
)
def test_streams_that_are_refused(batches, settings, error, message):
    m = model()
    with pytest.raises(error, match=f"^{message}"):
        m.fit_stream(batches, **settings)
    assert np.isfinite(flat(m)).all()


def test_what_the_iterable_raises_is_raised():
    def broken():
        yield X[:8], Y[:8]
        raise ZeroDivisionError("in the generator")

    m, two = model(), model()
    with pytest.raises(ZeroDivisionError, match="in the generator"):
        m.fit_stream(broken())
    two.fit(X[:8], Y[:8], epochs=1, batch_size=8, shuffle=False)
    np.testing.assert_array_equal(flat(m), flat(two))
