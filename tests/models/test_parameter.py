"""In-place changes of parameters: done whole, or refused without a trace."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

from rnn_fast import LSTM, SimpleRNN


@pytest.fixture(params=["f4", "f8"])
def model(request):
    return SimpleRNN(2, 4, seed=0, num_layers=2, embedding_size=3, dtype=request.param)


def times_nan(m):
    m.Whh *= np.nan


def plus_too_much(m):
    m.bh += 1e39 if m.dtype == "f4" else np.inf


def a_row_by_zero(m):
    m.Whh[0] /= 0


def a_transposed_view(m):
    m.Whh.T[1:] *= np.inf


def by_name(m):
    parameters = m.parameters
    parameters["Whh_l1"] -= np.inf


def as_out(m):
    np.multiply(m.Whh, np.nan, out=m.Whh)


def as_one_of_two_outs(m):
    np.modf(np.full((4, 4), np.inf), out=(np.zeros((4, 4)), m.Whh))


def as_out_of_a_sum(m):
    np.add.reduce(np.full((5, 4), np.inf), axis=0, dtype=m.dtype, out=m.bh)


def at_indices(m):
    np.add.at(m.embedding, [0, 0], np.inf)


def by_a_matrix(m):
    m.Whh @= np.full((4, 4), np.inf)


CHANGES = [
    times_nan,
    plus_too_much,
    a_row_by_zero,
    a_transposed_view,
    by_name,
    as_out,
    as_one_of_two_outs,
    as_out_of_a_sum,
    at_indices,
    by_a_matrix,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_is_refused_changes_nothing(model, change):
    before = model._flat.copy()
    with pytest.raises(ValueError, match=r"^(Whh|bh|embedding|Whh_l1) must stay finite in float"):
        change(model)
    np.testing.assert_array_equal(model._flat, before)


def test_the_change_before_a_refused_one_stays(model):
    expected = model.Whh - 5
    with pytest.raises(ValueError, match="^Whh must stay finite in float.*; sqrt would change"):
        model.Whh -= 5
        model.Whh **= 0.5
    np.testing.assert_array_equal(model.Whh, expected)


def test_right_changes_are_those_of_numpy(model):
    plain = {name: np.array(view) for name, view in model.parameters.items()}

    def change(p):
        p["Whh"] *= 2
        p["Whh"][0] -= p["Whh"][1]
        p["Whh"].T[1] += 1
        p["bh"] /= np.float64(3)
        np.add.at(p["embedding"], [0, 0, 1], 1.5)
        np.multiply(p["Why"], 2, out=p["Why"], where=p["Why"] > 0)
        np.maximum(p["Whh"], 0, out=p["Whh"])
        p["Whh"][:] += p["Whh"].T  # input and output overlap

    change(plain)
    change(model.parameters)
    for name, view in model.parameters.items():
        np.testing.assert_array_equal(view, plain[name])
    view, model.Whh = model.Whh, np.zeros((4, 4))
    view += 1
    assert (model.Whh == 1).all()
    assert np.add(view, 1, out=view) is view


def test_a_change_of_another_kind_fails_as_in_numpy(model):
    with pytest.raises(TypeError, match="same_kind"):
        model.Whh *= 1j
    with pytest.raises(ValueError, match="broadcast"):
        model.Whh += np.ones(3)


def test_what_does_not_write_gives_plain_arrays(model):
    Whh = model.Whh
    for result in (Whh * 2, Whh @ Whh, Whh.copy(), copy.copy(Whh), copy.deepcopy(Whh), Whh > 0,
                   pickle.loads(pickle.dumps(Whh)), np.array(Whh), np.exp(Whh), Whh.sum(0),
                   np.add.outer(Whh, Whh), np.linalg.inv(Whh), np.divmod(Whh, 3)[0]):  # fmt: skip
        assert type(result) is np.ndarray
    assert type(Whh.sum()) is model.dtype.type and type(Whh[0, 0]) is model.dtype.type
    assert repr(Whh) == repr(np.array(Whh)) and str(Whh) == str(np.array(Whh))
    assert np.shares_memory(Whh, model._flat) and np.shares_memory(np.asarray(Whh), model._flat)
    for copied in (Whh[[0, 1]], Whh.copy(), np.dot(Whh, Whh), Whh.astype("f8"), Whh.reshape(-1)):
        with np.errstate(invalid="ignore"):
            copied *= np.nan  # of nobody's parameters
    assert np.isfinite(model._flat).all()


def test_a_copy_does_not_keep_the_model():
    m = LSTM(2, 3)
    kept, memory = (m.Whh[[0, 1]], m.Whh.astype("f8"), m.Whh.copy()), weakref.ref(m._flat)
    del m
    gc.collect()
    assert memory() is None and len(kept) == 3


def test_views_go_to_other_libraries(model, tmp_path):
    from safetensors.numpy import load, save

    named = {name: np.ascontiguousarray(view) for name, view in model.parameters.items()}
    np.testing.assert_array_equal(load(save(named))["Whh"], model.Whh)
    np.save(tmp_path / "a.npy", model.Whh)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), model.Whh)
    torch = pytest.importorskip("torch")
    torch.from_numpy(model.embedding)[0, 0] = 7
    assert model.embedding[0, 0] == 7


def test_reading_copies_nothing():
    """100 MB of vectors, of which a row is read."""
    m = SimpleRNN(3_000_000, 1, embedding_size=8)
    assert np.shares_memory(m.embedding[5], m._flat)
    for i in range(10_000):
        m.embedding[i]  # a second, were it copied once in a thousand times
