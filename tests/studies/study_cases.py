"""Studies of all kinds, and the same models trained alone."""

from __future__ import annotations

import inspect

import numpy as np
from common import assert_same_bits, flat, without_times

from rnn_fast.models.loading import MODELS

FORMS = ("equal", "padded", "list", "tokens")
T, N = 9, 24


def data(form, seed=0):
    """Return X, y of every step, y of the last step, and more arguments of `fit`."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, T + 1, N)
    lengths[::3] = T  # some folds are of equal lengths, and some are not
    X = rng.standard_normal((N, T, 2))
    steps = rng.integers(0, 3, (N, T))
    if form == "tokens":
        return rng.integers(0, 5, (N, T)), steps, steps[:, -1], {}
    if form == "list":
        X = [x[:n] for x, n in zip(X, lengths, strict=True)]
        return X, [y[:n] for y, n in zip(steps, lengths, strict=True)], steps[:, -1], {}
    return X, steps, steps[:, -1], {"lengths": lengths} if form == "padded" else {}


def row(seed, form):
    """Return a random row of a study."""
    rng = np.random.default_rng([seed, 1])
    pick = lambda *values: values[rng.integers(len(values))]  # noqa: E731
    order = rng.permutation(N)
    train, validation, test = order[:13], order[13:19], order[19:]
    if pick(0, 1) and form != "equal":  # all of one length
        train = np.arange(0, N, 3)
        validation, test = np.arange(1, N, 3), np.arange(2, N, 3)
    chosen = {
        "cell": pick("rnn", "gru", "lstm"),
        "hidden_size": int(pick(1, 2, 5, 17)),
        "dtype": pick("float32", "float64"),
        "batch_size": pick(None, 1, 3, 8),
        "num_layers": pick(1, 1, 2),
        "optimizer": pick("adam", "sgd"),
        "learning_rate": 0.02,
        "epochs": pick(1, 4),
        "label": seed,
        "train": train,
        "test": test,
    }
    if form == "tokens":
        chosen |= {"input_size": 5, "embedding_size": 3}
    if pick(0, 1):
        chosen |= {"validation": validation}
        chosen |= pick({}, {"early_stopping": 2, "epochs": 12})
    else:
        chosen |= pick({}, {"validation_split": 0.3})
    if chosen["num_layers"] > 1:
        chosen["dropout"] = pick(0.0, 0.4)
    chosen |= pick({}, {}, {"shuffle": False}, {"bptt": 4}, {"l2": 1e-3}, {"clip_norm": 0.5})
    chosen |= pick({}, {}, {"bidirectional": True}) if "bptt" not in chosen else {}
    return chosen


def part(value, indices):
    """Return some sequences of an array or a list; None stays None."""
    if value is None:
        return None
    return [value[i] for i in indices] if isinstance(value, list) else value[indices]


def alone(row, seed, X, y, common, *, lengths=None, **weights):
    """Train the model of a row with `fit`; return it, its history and its test measures."""
    settings = {**common, **row}
    kind = MODELS[settings.pop("cell")]
    indices = {name: settings.pop(name, None) for name in ("train", "validation", "test")}
    indices = {k: None if v is None else np.sort(v) for k, v in indices.items()}
    settings.pop("label", None)
    names = inspect.signature(kind).parameters
    model = kind(**{k: v for k, v in settings.items() if k in names} | {"seed": seed})
    options = {k: v for k, v in settings.items() if k not in names}
    train, validation, test = indices.values()
    if validation is not None:
        held_out = part(X, validation), part(y, validation), part(lengths, validation)
        options["validation_data"] = held_out if lengths is not None else held_out[:2]
    given = {k: part(v, train) for k, v in weights.items()}
    history = model.fit(
        part(X, train), part(y, train), lengths=part(lengths, train), verbose=0, **given, **options
    )
    given = {k: part(v, test) for k, v in weights.items()}
    measures = model.evaluate(part(X, test), part(y, test), lengths=part(lengths, test), **given)
    return model, history, measures


def assert_as_alone(study, id, model, history, measures):
    """Check that a run has the bits of a model that was trained alone."""
    own, kept = study.model(id), study.history(id)
    np.testing.assert_array_equal(flat(own), flat(model))
    one, two = without_times(kept.arrays()), without_times(history.arrays())
    assert one.keys() == two.keys()
    assert_same_bits(one.values(), two.values())
    assert own._generator.bit_generator.state == model._generator.bit_generator.state
    record = next(record for record in study.records() if record["id"] == id)
    assert {k: v for k, v in record.items() if k.startswith("test_")} == {
        f"test_{name}": value for name, value in measures.items()
    }
