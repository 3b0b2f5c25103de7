"""Every field of a checkpoint's record: altered and signed again, it is refused or trained on."""

from __future__ import annotations

import json
import math
from functools import partial

import numpy as np
import pytest
from common import flat
from failing import alter, content

from rnn_fast import GRU, LSTM, SGD, DivergedError, EarlyStopping, ModelFileError, ReduceOnPlateau
from rnn_fast.engine import operations
from rnn_fast.tuning import tuned

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 5, 2))
Y = X.sum((1, 2))


class Slow:
    """Sequences that are read in slices."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, rows):
        return self.array[rows]


def fit(model, **settings):
    return model.fit(Slow(X), Slow(Y), shuffle_block=14, batch_size=7, **settings)


def stream(model, **settings):
    return model.fit_stream([(X[:20], Y[:20]), (X[20:], Y[20:])], batch_size=7, **settings)


CASES = {
    "blocks": (
        lambda: GRU(2, 3, dropout=0.3, loss="mse", seed=np.random.Generator(np.random.Philox(4))),
        fit,
        {"optimizer": "adam", "schedule": "cosine", "validation_split": 0.2},
    ),
    "stream": (
        lambda: LSTM(2, 3, loss="mse", dtype="f8", seed=np.random.Generator(np.random.MT19937(1))),
        stream,
        {
            "optimizer": SGD(momentum=0.9),
            "schedule": ReduceOnPlateau(patience=1, threshold=0.1),
            "early_stopping": EarlyStopping(3, min_delta=0.05),
            "l2": {"Whh": 1e-3},
        },
    ),
    "plain": (lambda: GRU(2, 3, loss="mse", seed=0), fit, {}),
}


@pytest.fixture(scope="module", params=[f"{case}-{place}" for case in CASES for place in (0, 1)])
def written(request, tmp_path_factory):
    """A way to go on, and the checkpoint: after an epoch, or within one."""
    case, place = request.param.split("-")
    make, run, settings = CASES[case]
    path = tmp_path_factory.mktemp("checkpoint") / "c"
    within = {"epochs": 4, "verbose": False, "checkpoint": path, **settings}
    with tuned(history_rows=2):
        run(make(), **within)
        if place == "1":
            parameters = np.concatenate([a.ravel() for a in content(path)[1].values()])
            alter(path, partial(begun, parameters))
    return make, lambda model: run(model, resume=True, **{**within, "epochs": 6}), path


def begun(parameters, training, arrays):
    """Turn the checkpoint after an epoch into one after two batches of the next."""
    training["finished"], arrays["before"] = False, parameters
    training["position"] = {
        "began": training["generator"],
        "sequences": 14,
        "seconds": 0.5,
        "rate": 0.01,
        "result": [2.0] * operations.RESULTS,
    }


def leaves(value, place=()):
    """Yield the place of each field in a record, and of the objects and lists themselves."""
    if place:
        yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*place, key))
    elif isinstance(value, list):
        for index in sorted({0, len(value) // 2, len(value) - 1} & set(range(len(value)))):
            yield from leaves(value[index], (*place, index))


def others(value, rng):
    """Values in the place of another: of other types, sizes and signs, and some at random."""
    yield from (None, True, False, "x", "", {}, [], [value], {"a": value}, str(value))
    yield from (0, 1, -1, 0.5, -1.0, 2**31, 2**63, 2**64, 2**130, 1e308, 1e-320)
    yield from (math.nan, math.inf, -math.inf)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from (value + 1, -value, value * 2, float(value), rng.random(), rng.standard_normal())
    if isinstance(value, list):
        yield from (value[:-1], value + value[-1:], value[::-1], [math.nan] * len(value))
        yield from ([str(each) for each in value], [10**50] * len(value), [None] * len(value))
    if isinstance(value, dict):
        yield {**value, "more": 1}
        yield from ({k: v for k, v in value.items() if k != name} for name in value)


def put(training, place, value):
    *outer, last = place
    for key in outer:
        training = training[key]
    training[last] = value


MISSING = object()


def try_it(written, change):
    """Go on from an altered checkpoint; return whether it was refused, with a reason."""
    make, go_on, path = written
    original = path.read_bytes()
    model, before = make(), make()
    try:
        alter(path, change)
        path.with_name("c.previous").unlink(missing_ok=True)
        with np.errstate(all="ignore"):  # of absurd numbers that are nevertheless numbers
            go_on(model)
    except ModelFileError as error:
        text = str(error)
        assert text.startswith(f"resume: checkpoint {path}: "), text
    except DivergedError:
        return False
    except ValueError as error:
        assert str(error).startswith(f"resume: {path} is of a training with") or (
            str(error).startswith("resume: the checkpoint's random generator is ")
        ), error
    else:
        return False
    finally:
        path.write_bytes(original)
        for slot, data in HISTORY.get(path, {}).items():
            slot.write_bytes(data)
    np.testing.assert_array_equal(flat(model), flat(before))
    assert json.dumps(str(model._generator.bit_generator.state)) == json.dumps(
        str(before._generator.bit_generator.state)
    )
    return True


HISTORY = {}


@pytest.fixture(autouse=True)
def history_files(written):
    """Put the history's files back after each attempt: a training that goes on writes its own."""
    path = written[2]
    HISTORY[path] = {slot: slot.read_bytes() for slot in path.parent.glob("c.history.*")}
    with tuned(history_rows=2):
        yield


@pytest.mark.parametrize("n", [3, pytest.param(1000, marks=pytest.mark.sweep)])
def test_each_field_altered(written, n):
    """Some of about 30 ways for each field, or all."""
    rng, tried, refused = np.random.default_rng(0), 0, 0
    training = content(written[2])[2]
    for place in list(leaves(training)):
        value = training
        for key in place:
            value = value[key]
        ways = list(others(value, rng))
        for way in rng.permutation(len(ways))[:n]:
            other = ways[way]
            tried += 1
            refused += try_it(written, lambda record, _: put(record, place, other))  # noqa: B023
        if isinstance(place[-1], str):

            def drop(record, _, place=place):
                for key in place[:-1]:
                    record = record[key]
                del record[place[-1]]

            assert try_it(written, drop)
    assert tried >= 60 and refused > 0.7 * tried


def test_nothing_altered(written):
    assert not try_it(written, lambda *_: None)


@pytest.mark.parametrize("value", [None, [], "x", 3, {}, {"history": {"epochs": 3}}])
def test_another_record(written, value):
    def change(training, arrays):
        training.clear()
        training.update(value if isinstance(value, dict) else {"training": value})

    assert try_it(written, change)


ARRAYS = {
    "no moments": lambda arrays: arrays.pop("moments"),
    "short moments": lambda arrays: arrays.update(moments=arrays["moments"][:-1]),
    "long moments": lambda arrays: arrays.update(moments=np.tile(arrays["moments"], 2)),
    "moments of another shape": lambda a: a.update(moments=a["moments"][None]),
    "moments of another dtype": lambda a: a.update(
        moments=a["moments"].astype("f8" if a["moments"].dtype == "f4" else "f4")
    ),
    "NaN moments": lambda arrays: arrays["moments"].fill(np.nan),
    "no history": lambda arrays: arrays.pop("history"),
    "longer history": lambda a: a.update(history=np.ones((3, a["history"].shape[1]))),
    "narrower history": lambda arrays: arrays.update(history=arrays["history"][:, :-1]),
    "history of float32": lambda a: a.update(history=a["history"].astype("f4")),
    "more": lambda arrays: arrays.update(more=np.ones(3)),
    "best": lambda arrays: arrays.update(best=np.full(3, 1.0)),
    "NaN best": lambda a: a.update(best=np.full_like(a.get("best", np.ones(3)), np.nan)),
}


@pytest.mark.parametrize("change", ARRAYS)
def test_arrays_altered(written, change):
    assert try_it(written, lambda _, arrays: ARRAYS[change](arrays))


def test_rows_altered(written):
    """Numbers that no epoch has, in the last row of the history."""
    training = content(written[2])[2]
    columns = training["history"]["columns"]
    wrong = {
        "loss": (math.nan, math.inf),
        "learning_rate": (math.nan, -1.0),
        "seconds": (math.nan, math.inf, -1.0),
        "sequences_per_second": (math.nan, math.inf, 0.0),
    }
    for name, values in wrong.items():
        for value in values:

            def change(training, arrays, name=name, value=value):
                training["history"]["epochs"] += 1
                row = np.ones((1, len(columns)))
                row[0, columns.index(name)] = value
                arrays["history"] = np.concatenate([arrays["history"], row])

            assert try_it(written, change)


def test_no_place_outside_a_generators_buffer(written):
    """NumPy would read behind it."""
    for value in (625, 10**6, 2**31 - 1, -1, 5, 2**62):

        def change(training, arrays, value=value):
            state = training["generator"]
            inner = state if "buffer_pos" in state else state["state"]
            name = "buffer_pos" if "buffer_pos" in state else "pos"
            if name not in inner:
                inner["none"] = 1
            elif name == "buffer_pos" or value != 5:
                inner[name] = value
            else:
                inner[name] = 625

        assert try_it(written, change)
