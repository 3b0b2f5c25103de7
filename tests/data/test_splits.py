"""Stratified splits: a share of each class, in memory and on disk."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU, SimpleRNN
from rnn_fast.data.dataset import Dataset
from rnn_fast.data.splits import Split

RNG = np.random.default_rng(0)
Y = RNG.permutation(np.repeat([0, 1, 2], [100, 20, 3]))
X = RNG.standard_normal((123, 4, 2))
HELD = [25, 5, 1]  #: of each class, by a share of a quarter


def model(**options):
    options = {"output_size": 3, "loss": "cross_entropy", "seed": 0, **options}
    return SimpleRNN(2, 3, **options)


def saved(tmp_path, **arrays):
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return [tmp_path / f"{name}.npy" for name in arrays]


@pytest.mark.parametrize("block", [None, 7, 1])
def test_each_class_gives_its_share(block, tmp_path):
    """Of all blocks together; some blocks give all, some none."""
    x, y = saved(tmp_path, X=X, y=Y)
    dataset = Dataset(model()._net, x, y, trains=True, block=block)
    np.testing.assert_array_equal(dataset.labels(), Y)
    train, held = Split(dataset, 0.25, dataset.labels()).draw(np.random.default_rng(1))
    found = []
    for part in (train, held):
        places = [part.samples(k) + dataset.blocks[k][0] for k in range(len(dataset.blocks))]
        assert [len(each) for each in places] == part.sizes
        found.append(np.concatenate(places))
    assert sorted(np.concatenate(found)) == list(range(123))
    np.testing.assert_array_equal(np.bincount(Y[found[1]]), HELD)
    assert len(held) == sum(HELD) and held.batches(None) == sum(n > 0 for n in held.sizes)
    visited = sum(len(visit.order) for visit in train.epoch(np.random.default_rng(0), 4))
    assert visited == len(train)


def test_blocks_do_not_change_what_is_held_out(tmp_path):
    x, y = saved(tmp_path, X=X, y=Y)
    settings = {"validation_split": 0.25, "stratify": True, "learning_rate": 0.0, "epochs": 1}
    one, two = model(dtype="f8"), model(dtype="f8")
    wanted = one.fit(X, Y, **settings).val_loss
    assert two.fit(x, y, shuffle_block=7, **settings).val_loss == pytest.approx(wanted, rel=1e-12)


def test_bce_has_two_classes():
    y = (Y > 0).astype(float)
    m = model(output_size=1, loss="bce")
    dataset = Dataset(m._net, X, y[:, None] * 0.8 + 0.1, trains=True)
    held = Split(dataset, 0.25, dataset.labels()).draw(np.random.default_rng(0))[1]
    np.testing.assert_array_equal(np.bincount(y[held.samples(0)].astype(int)), [25, 6])
    h = m.fit(X, y, epochs=1, validation_split=0.25, stratify=True)
    assert len(h.val_accuracy) == 1


def test_it_draws_from_the_models_generator_and_resumes(tmp_path):
    settings = {"validation_split": 0.25, "stratify": True, "early_stopping": 9}
    whole = model()
    wanted = whole.fit(X, Y, epochs=4, **settings)
    assert model(seed=1).fit(X, Y, epochs=1, **settings).val_loss[0] != wanted.val_loss[0]
    settings["checkpoint"] = tmp_path / "c"
    model().fit(X, Y, epochs=2, **settings)
    m = model()
    assert m.fit(X, Y, epochs=4, resume=True, **settings).val_loss == wanted.val_loss
    np.testing.assert_array_equal(m.Whh, whole.Whh)
    with pytest.raises(ValueError, match="^resume: .* of a training with stratify True, not False"):
        model().fit(X, Y, epochs=4, resume=True, **{**settings, "stratify": False})


@pytest.mark.parametrize(
    ("y", "settings", "message"),
    [
        (np.r_[Y[:-1] % 2, 2], {}, "validation_split=0.25 of 1 sequences of class 2, stratified"),
        (Y, {"validation_split": 0.9}, "validation_split=0.9 of 3 sequences of class 2"),
        (Y, {"validation_split": 0.0}, "stratify=True needs a validation_split"),
    ],
)
@pytest.mark.parametrize("block", [None, 24])
def test_what_is_refused_before_any_work(y, settings, message, block):
    m = model()
    before, drawn = m._flat.copy(), str(m._generator.bit_generator.state)
    settings = {"validation_split": 0.25, "stratify": True, "shuffle_block": block, **settings}
    with pytest.raises(ValueError, match=f"^{message}"):
        m.fit(X, y, **settings)
    np.testing.assert_array_equal(m._flat, before)
    assert str(m._generator.bit_generator.state) == drawn


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "mse"},
        {"loss": "bce", "output_size": 2},
        {"return_sequences": True, "loss": "cross_entropy", "output_size": 3},
    ],
)
def test_other_models_have_no_class_a_sequence(options):
    with pytest.raises(ValueError, match="^stratify=True needs one class a sequence"):
        GRU(2, 3, **options).fit(X, Y, validation_split=0.25, stratify=True)
