"""Training on streams of batches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from common import flat, learned

from rnn_fast import GRU, SimpleRNN
from rnn_fast.tasks import SignOfSum

RNG = np.random.default_rng(0)
X = RNG.standard_normal((103, 5, 2)).astype("f4")
Y = X.sum((1, 2))


def model(**settings):
    return GRU(2, 4, **{"seed": 0, "loss": "mse", **settings})


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


@pytest.mark.parametrize("error", [TypeError, NotImplementedError])
def test_loaders_whose_length_is_not_known(error):
    """A DataLoader has the method for every dataset."""

    class Loader:
        def __iter__(self):
            return iter(items())

        def __len__(self):
            raise error("no len() of an IterableDataset")

    one, two = model(), model()
    one.fit_stream(items(), epochs=2)
    two.fit_stream(Loader(), epochs=2)
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
        ([{"X": X, "y": Y, "z": 1}], {}, ValueError, r"batches\[0\] has 'z', but its names"),
        ([(X, Y[1:])], {}, ValueError, r"batches\[0\] y must have shape \(103,\)"),
        ([{"X": X, "y": Y, "sample_weight": Y}], {}, ValueError, r"batches\[0\] sample_weight\["),
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


class Items:
    """Batches whose length is what `length` returns or raises."""

    def __init__(self, length):
        self.length = length

    def __iter__(self):
        return iter(items())

    def __len__(self):
        return self.length()


@pytest.mark.parametrize("error", [TypeError, NotImplementedError, AttributeError])
def test_a_length_that_is_not_known(error):
    """As a DataLoader over an IterableDataset has it."""

    def unknown():
        raise error

    one, two = model(), model()
    one.fit_stream(Items(unknown), epochs=2, schedule="cosine")
    two.fit_stream(Items(lambda: 0), epochs=2, schedule="cosine")
    np.testing.assert_array_equal(flat(one), flat(two))


def test_a_loader_of_an_iterable_dataset():
    data = pytest.importorskip("torch").utils.data

    class Dataset(data.IterableDataset):
        def __iter__(self):
            return zip(X[:96], Y[:96], strict=True)

    one, two = model(), model()
    one.fit_stream(data.DataLoader(Dataset(), batch_size=8), epochs=2)
    two.fit_stream(items(), epochs=2)
    np.testing.assert_array_equal(flat(one), flat(two))
