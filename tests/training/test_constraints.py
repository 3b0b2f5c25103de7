"""Constraints hold exactly after every update, whatever makes it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, SimpleRNN, load
from rnn_fast.layout.constraints import constraints_from
from rnn_fast.optimizers import AdamW

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 5, 3)), RNG.standard_normal(20)
LIMIT = 0.3
#: decay that would move what is frozen
SETTINGS = {"learning_rate": 0.05, "l1": 0.01, "l2": 0.1, "clip_norm": 1.0, "verbose": False}
pytestmark = pytest.mark.usefixtures("one_tile")


def constrained(kind, hidden_size, **options):
    """A model with a constraint of each kind."""
    model = kind(3, hidden_size, loss="mse", seed=0, **options)
    sign = np.zeros(hidden_size)
    sign[:3], sign[3:6] = 1, -1
    model.constrain("Whh", sign=sign, mask=mask_of(model))
    model.constrain("Wxh", max_norm=LIMIT)
    model.constrain("by", frozen=True)
    model.constrain("Why", frozen=np.arange(hidden_size) < 3)
    return model


def mask_of(model):
    return np.arange(model.Whh.size).reshape(model.Whh.shape) % 3 != 0


def frozen_bits(model):
    return model.by.tobytes(), model.Why[:, :3].tobytes()


def assert_holds(model, bits):
    Whh, norms = model.Whh, np.linalg.norm(model.Wxh, axis=1)
    assert (Whh[:, :3] >= 0).all() and (Whh[:, 3:6] <= 0).all() and not Whh[~mask_of(model)].any()
    assert (norms <= LIMIT).all()
    assert frozen_bits(model) == bits


#: the drivers: batch, units, single
CASES = [(GRU, 7, 20), (GRU, 7, 1), (SimpleRNN, 17, 1)]


@pytest.mark.parametrize(("kind", "hidden_size", "batch_size"), CASES)
def test_every_driver_keeps_to_them(kind, hidden_size, batch_size):
    model = constrained(kind, hidden_size)
    bits, before = frozen_bits(model), {k: v.copy() for k, v in model.parameters.items()}
    assert_holds(model, bits)
    seen = []

    def look(model, history):
        assert_holds(model, bits)
        seen.append(history)

    settings = {**SETTINGS, "optimizer": AdamW(weight_decay=0.1), "batch_size": batch_size}
    model.fit(X, Y, epochs=3, callbacks=[look], **settings)
    model.fit(X, Y, epochs=4, **settings)
    assert len(seen) == 3
    assert_holds(model, bits)
    free = mask_of(model) & (np.arange(hidden_size) > 5)
    assert (model.Whh != before["Whh"])[free].all() and (model.bh != before["bh"]).all()


def test_single_updates_keep_to_them():
    model = constrained(GRU, 7)
    bits = frozen_bits(model)
    for x, y in zip(X[:3], Y[:3], strict=True):
        model.partial_fit(X, Y, learning_rate=0.05, optimizer=AdamW(weight_decay=0.1))
        assert_holds(model, bits)
        model.forward(x)
        model.backward(y)
        assert_holds(model, bits)
        model.forward(X)
        model.backward(Y)
        assert_holds(model, bits)
        _, gradients = model.loss_and_gradients(X, Y)
        model.apply_gradients(gradients, learning_rate=0.05)
        assert_holds(model, bits)


def test_the_step_is_projected_gradient_descent():
    """Against NumPy: `backward`, and `fit` by one batch."""
    models = [constrained(GRU, 7, dtype="f8") for _ in range(3)]
    a, b, wanted = models
    for model in models:
        model.learning_rate = 0.3
    for _ in range(3):
        _, gradients = wanted.loss_and_gradients(X, Y)
        for name, parameter in wanted.parameters.items():
            parameter -= 0.3 * gradients[name]
        sign, Whh = wanted.constraints["Whh"].sign, wanted.Whh
        Whh[...] = np.where(sign * Whh < 0, 0, Whh) * mask_of(wanted)
        norms = np.linalg.norm(wanted.Wxh, axis=1, keepdims=True)
        wanted.Wxh[...] *= np.minimum(1, LIMIT / norms)
        wanted.by, wanted.Why[:, :3] = b.by, b.Why[:, :3]
        a.forward(X)
        a.backward(Y)
    b.fit(X, Y, epochs=3, verbose=False)
    assert (norms > LIMIT).any()
    for name, parameter in wanted.parameters.items():
        np.testing.assert_allclose(a.parameters[name], parameter, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(b.parameters[name], parameter, rtol=1e-12, atol=1e-13)


def test_frozen_gradients_do_not_count_for_clipping():
    free, model = (GRU(3, 7, loss="mse", seed=0, dtype="f8") for _ in range(2))
    model.constrain("Whh", frozen=True)
    _, gradients = free.loss_and_gradients(X, Y)
    rest = {name: g for name, g in gradients.items() if name != "Whh"}
    norm = np.sqrt(sum((g**2).sum() for g in rest.values()))
    settings = {"learning_rate": 1.0, "clip_norm": norm / 2, "l2": {"Whh": 10.0}}
    model.partial_fit(X, Y, **settings)
    for name, g in rest.items():
        wanted = free.parameters[name] - g / 2
        np.testing.assert_allclose(model.parameters[name], wanted, rtol=1e-5, atol=1e-9)


def test_rows_of_an_embedding_and_all_layers():
    tokens = RNG.integers(0, 9, (20, 4))
    model = GRU(9, 7, embedding_size=5, num_layers=2, loss="mse", seed=0)
    model.constrain("embedding", frozen=np.arange(9)[:, None] < 2, mask=np.arange(5) > 0)
    model.constrain("Whh", mask=np.tri(7, dtype=bool)[np.arange(21) % 7])
    rows, rest = model.embedding[:2].tobytes(), model.embedding[2:, 1:].copy()
    for batch_size in (1, 20):
        model.fit(tokens, Y, epochs=2, batch_size=batch_size, verbose=False, learning_rate=0.1)
        assert model.embedding[:2].tobytes() == rows and not model.embedding[:, 0].any()
        for W in (model.Whh, model.Whh_l1):
            assert not W[:7][np.triu_indices(7, 1)].any() and W[:7][np.tril_indices(7)].all()
    assert (model.embedding[2:, 1:] != rest).any()


def test_they_are_part_of_copies_and_files(tmp_path):
    model = constrained(GRU, 7)
    bits = frozen_bits(model)
    model.save(tmp_path / "model")
    copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), load(tmp_path / "model")]
    for other in copies:
        assert other.constraints.keys() == model.constraints.keys()
        for name, said in model.constraints.items():
            assert other.constraints[name].record() == said.record()
        other.partial_fit(X, Y, learning_rate=0.05, optimizer=AdamW(weight_decay=0.1))
        assert_holds(other, bits)
    assert "constraints" not in GRU(3, 7).description()


def test_a_checkpoint_is_of_a_model_with_the_same_ones(tmp_path):
    settings = {"verbose": False, "checkpoint": tmp_path / "c", "epochs": 3}
    model = constrained(GRU, 7)
    bits = frozen_bits(model)
    model.fit(X, Y, **settings)
    assert load(tmp_path / "c").constraints.keys() == model.constraints.keys()
    again = constrained(GRU, 7)
    again.fit(X, Y, **{**settings, "epochs": 5}, resume=True)
    assert_holds(again, bits)
    with pytest.raises(ValueError, match="^resume: .* is of a training with model"):
        GRU(3, 7, loss="mse", seed=0).fit(X, Y, **settings, resume=True)


def test_a_file_with_other_constraints_is_damaged():
    net = GRU(3, 7)._net
    record = constrained(GRU, 7).constraints["Whh"].record()
    assert constraints_from(net, {"Whh": record})["Whh"].record() == record
    for changed in ({"mask": "00"}, {"mask": "x"}, {"max_norm": -1}):
        with pytest.raises((TypeError, ValueError)):
            constraints_from(net, {"Whh": {**record, **changed}})
    with pytest.raises(KeyError):
        constraints_from(net, {"W": record})


def test_they_replace_each_other_and_go():
    model = LSTM(3, 4, num_layers=2)
    model.constrain("Whh", mask=np.eye(16, 4), frozen=False)
    assert [*model.constraints] == ["Whh", "Whh_l1"] and model.constraints["Whh"].frozen is None
    assert not model.Whh_l1[4:].any()
    model.constrain("Whh", sign=1)
    assert model.constraints["Whh"].mask is None and (model.Whh >= 0).all()
    model.constrain("Whh_l1")
    assert [*model.constraints] == ["Whh"]
    with pytest.raises(TypeError):
        model.constraints["Whh"] = None
    with pytest.raises(ValueError, match="read-only"):
        model.constraints["Whh"].sign[0] = 0


def test_a_value_of_your_own_stays_frozen():
    model = GRU(3, 7, loss="mse", seed=0)
    model.constrain("Whh", frozen=True)
    model.Whh = RNG.standard_normal((21, 7))
    bits = model.Whh.tobytes()
    model.partial_fit(X, Y, learning_rate=0.1)
    assert model.Whh.tobytes() == bits


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("W", {"frozen": True}, ValueError, "name names 'W', but the parameters are Wxh, Whh"),
        (None, {"frozen": True}, TypeError, "name must be a string; got None"),
        ("Whh", {"frozen": "all"}, TypeError, "frozen must be numbers; got 'all'"),
        ("Whh", {"frozen": 2}, ValueError, "frozen must hold only 0, 1; got 2"),
        ("Whh", {"mask": [0.5] * 7}, ValueError, "mask must hold only 0, 1; got"),
        ("Whh", {"sign": [2] * 7}, ValueError, "sign must hold only -1, 0, 1; got"),
        ("Whh", {"sign": [1] * 8}, ValueError, r"sign has shape \(8,\), which does not broadcast"),
        ("Whh", {"max_norm": 0}, ValueError, "max_norm must be above 0"),
        ("Whh", {"max_norm": "1"}, TypeError, "max_norm must be a real number"),
        ("Whh", {"max_norm": 1e300}, ValueError, "max_norm = 1e"),
        ("by", {"max_norm": 1}, ValueError, "max_norm limits rows of a matrix, but by is a vector"),
        ("Whh", {"max_norm": 1, "frozen": True}, ValueError, "max_norm would move frozen"),
    ],
)
def test_what_is_refused(name, options, error, message):
    model = GRU(3, 7, seed=0)
    model.constrain("Whh", sign=1)
    before, flat = {**model.constraints}, {k: v.copy() for k, v in model.parameters.items()}
    with pytest.raises(error, match=f"^{message}"):
        model.constrain(name, **options)
    assert {**model.constraints} == before
    for key, value in flat.items():
        np.testing.assert_array_equal(model.parameters[key], value)
