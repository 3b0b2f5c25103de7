"""The model file: what comes back, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import tracemalloc

import numpy as np
import pytest
from common import assert_same_bits, flat, run_python
from safetensors import safe_open
from safetensors.numpy import save

from rnn_fast import ModelFileError, SimpleRNN, load
from rnn_fast.saving import model_file

MODELS = [
    SimpleRNN(1, 2, seed=0),
    SimpleRNN(3, 5, 4, loss="cross_entropy", nonlinearity="relu", dtype="float64", seed=1),
    SimpleRNN(2, 7, 3, loss="mse", learning_rate=0.125, seed=2),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def content(path):
    """The bytes of a small model's file, which is at `path`."""
    SimpleRNN(1, 2, seed=0).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_round_trip(model, path):
    model.save(path)
    again = load(path)
    assert type(again) is SimpleRNN and repr(again) == repr(model)
    assert list(again.parameters) == list(model.parameters)
    assert_same_bits(again.parameters.values(), model.parameters.values())
    X = np.random.default_rng(0).standard_normal((5, 4, model.input_size))
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))
    assert again.Wxh.ctypes.data % 64 == 0  # the start of the vector of all parameters


def test_str_paths(path):
    MODELS[0].save(str(path))
    assert repr(load(str(path))) == repr(MODELS[0])


def test_a_loaded_model_learns(path):
    X = np.random.default_rng(0).standard_normal((50, 4, 1))
    y = X[:, -1, 0] > 0
    MODELS[0].save(path)
    one, two, other = load(path, seed=3), load(path, seed=3), load(path, seed=4)
    for model in (one, two, other):
        model.fit(X, y, epochs=2, batch_size=5)
        model.forward(X[0])
        model.backward(1)
    np.testing.assert_array_equal(flat(one), flat(two))
    assert (flat(one) != flat(other)).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_are_neither_written_nor_read(value, path, content):
    parameters = {name: array.copy() for name, array in MODELS[0].parameters.items()}
    parameters["Whh"][0, 0] = value
    with pytest.raises(ValueError, match="^Whh has NaN or infinite numbers"):
        model_file.write(path, MODELS[0].description(), parameters)
    assert path.read_bytes() == content
    path.write_bytes(model_file.encode(MODELS[0].description(), parameters))
    with pytest.raises(ModelFileError, match=r"model\.safetensors: Whh has NaN or infinite"):
        load(path)


def test_any_reader_of_safetensors_reads_it(path):
    MODELS[1].save(path)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        for name, array in MODELS[1].parameters.items():
            np.testing.assert_array_equal(file.get_tensor(name), array)
    assert metadata["format"] == "rnn_fast" and metadata["version"] == "1"
    assert json.loads(metadata["architecture"]) == {
        "cell": "rnn",
        "input_size": 3,
        "hidden_size": 5,
        "output_size": 4,
        "num_layers": 1,
        "bidirectional": False,
        "dropout": 0.0,
        "return_sequences": False,
        "learn_initial_state": False,
        "embedding_size": None,
        "loss": "cross_entropy",
        "loss_options": None,
        "dtype": "float64",
        "learning_rate": 0.01,
        "nonlinearity": "relu",
    }


# ------------------------------------------------------------------------------------ damage


def test_every_truncation_is_seen(path, content):
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"model\.safetensors: "):
            load(path)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_every_flipped_byte_is_seen(path, content, flip):
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= flip
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"model\.safetensors: "):
            load(path)


def test_every_flipped_bit_of_the_header_is_seen(content):
    size = model_file.header_size(content)
    for bit in range(8 * size):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelFileError):
            model_file.ModelFile(io.BytesIO(damaged), len(damaged)).read()


@pytest.mark.parametrize("extra", [b"\0", b" ", b"{}", b"\0" * 64])
def test_extra_bytes_are_seen(path, content, extra):
    for damaged in (content + extra, extra + content, content[:8] + extra + content[8:]):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"PK\x03\x04" * 100,
        b"\xff" * 100,
        b"\0" * 100,
        (8).to_bytes(8, "little") + b"[" * 8,
        (10**5).to_bytes(8, "little") + b"[" * 10**5,
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (1).to_bytes(8, "little") + b"1",
        (20).to_bytes(8, "little") + b'{"__metadata__":[1]}',
        save({"Whh": np.ones((2, 2))}),
        save({"Whh": np.ones((2, 2))}, {"format": "pt"}),
    ],
)
def test_other_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"not a (model of rnn_fast|safetensors file)"):
        load(path)


def test_another_version_is_named(path, content):
    metadata = {"format": "rnn_fast", "version": "2"}
    path.write_bytes(save({"Whh": np.ones((2, 2))}, metadata))
    with pytest.raises(ModelFileError, match="version '2' of the format; .* reads version '1'"):
        load(path)


@pytest.mark.parametrize("digest", [None, "", "0" * 64, "xyz", "\ud800"])
def test_a_checksum_that_is_none(path, digest):
    metadata = {"format": "rnn_fast", "version": "1", "architecture": "{}"}
    if digest is not None:
        metadata["sha256"] = digest
    header = json.dumps({"__metadata__": metadata}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelFileError, match="damaged"):
        load(path)


GOOD = {"cell": "rnn", "input_size": 1, "hidden_size": 2}


@pytest.mark.parametrize(
    "architecture",
    [
        {},
        [],
        3,
        {**GOOD, "cell": "gru"},
        {**GOOD, "cell": ["rnn"]},
        {**GOOD, "hidden_size": 3},
        {**GOOD, "hidden_size": "2"},
        {**GOOD, "dtype": "float64"},
        {**GOOD, "loss": "hinge"},
        {**GOOD, "unheard": 1},
        {"cell": "rnn"},
    ],
    ids=str,
)
def test_a_sound_file_of_another_architecture(path, architecture):
    model_file.write(path, architecture, MODELS[0].parameters)
    with pytest.raises(ModelFileError, match=r"model\.safetensors: "):
        load(path)


def test_a_sound_file_of_other_parameters(path):
    parameters = dict(MODELS[0].parameters)
    for other in (
        {},
        {**parameters, "more": parameters["bh"]},
        {**parameters, "bh": np.zeros(3, "f4")},
        {**parameters, "bh": np.zeros(2, "f8")},
    ):
        model_file.write(path, GOOD, other)
        with pytest.raises(ModelFileError, match="do not fit its architecture"):
            load(path)


def test_missing_files(path):
    with pytest.raises(FileNotFoundError):
        load(path)
    with pytest.raises(FileNotFoundError):
        MODELS[0].save(path.parent / "none" / "model")


# --------------------------------------------------------------------------- hostile files


def signed(header, data=b""):
    """The bytes of a file with a header of any content, and the right checksum."""
    text = json.dumps(header) if isinstance(header, dict) else header
    blank = len(text).to_bytes(8, "little") + text.encode() + data
    return blank.replace(model_file.BLANK.encode(), hashlib.sha256(blank).hexdigest().encode())


def header_of(architecture=None, **tensors):
    """A header: GOOD's metadata and tensors, with changes; None leaves a tensor out."""
    metadata = {
        "format": "rnn_fast",
        "version": "1",
        "architecture": json.dumps(GOOD | (architecture or {})),
        "sha256": model_file.BLANK,
    }
    own = {
        "Wxh": ([2, 1], [0, 8]),
        "Whh": ([2, 2], [8, 24]),
        "bh": ([2], [24, 32]),
        "Why": ([1, 2], [32, 40]),
        "by": ([1], [40, 44]),
    }
    entries = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": place}
        for name, (shape, place) in own.items()
    } | tensors
    entries = {name: entry for name, entry in entries.items() if entry is not None}
    return {"__metadata__": metadata, **entries}


def entry(shape, start, stop, dtype="F32", **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop], **more}


def test_a_file_that_was_made_by_hand(path):
    path.write_bytes(signed(header_of(), bytes(44)))
    assert load(path).hidden_size == 2


BOMBS = {
    "layers": header_of({"num_layers": 10**12}),
    "more layers": header_of({"num_layers": 10**50}),
    "units": header_of({"hidden_size": 10**5}),
    "more units": header_of({"hidden_size": 2**62}),
    "vocabulary": header_of({"input_size": 10**12, "embedding_size": 10**12}),
    "outputs": header_of({"output_size": 10**12}),
    "cell": header_of({"cell": {"rnn": 1}}),
    "dtype of records": header_of({"dtype": [["a", "f4"]]}),
    "dtype of text": header_of({"dtype": "(" * 10**5 + "f4"}),
    "dtype by another name": header_of({"dtype": "f4"}),
    "seed": header_of({"seed": 1}),
    "rate": header_of({"learning_rate": -1}),
    "text": header_of({"learning_rate": "0.1"}),
    "shape": header_of(by=entry([2**62, 4], 40, 44)),
    "negative": header_of(by=entry([-1, -1], 40, 44)),
    "true": header_of(by=entry([True], 40, 44)),
    "real": header_of(by=entry([1.0], 40, 44)),
    "scalar": header_of(by=entry([], 40, 44)),
    "cube": header_of(by=entry([1, 1, 1], 40, 44)),
    "many axes": header_of(by=entry([1] * 10**5, 40, 44)),
    "half": header_of(by=entry([2], 40, 44, "F16")),
    "integer": header_of(by=entry([1], 40, 44, "I32")),
    "double": header_of(by=entry([1], 36, 44, "F64")),
    "list": header_of(by=entry([1], 40, 44, ["F32"])),
    "unknown field": header_of(by=entry([1], 40, 44, more=1)),
    "no entry": header_of(by=7),
    "overlap": header_of(by=entry([1], 36, 40)),
    "gap": header_of(by=entry([1], 44, 48)),
    "backwards": header_of(by=entry([1], 44, 40)),
    "beyond": header_of(by=entry([2**40], 40, 40 + 2**42)),
    "missing": header_of(by=None),
    "more": header_of(bz=entry([0], 44, 44)),
    "rest": header_of(**{"training.more": entry([1], 44, 48)}),
    "two formats": json.dumps(header_of()).replace('"format"', '"format": "pt", "format"', 1),
    "two tensors": json.dumps(header_of()).replace('"by"', '"by": 1, "by"', 1),
    "two sizes": json.dumps(header_of()).replace('\\"hidden', '\\"hidden_size\\": 3, \\"hidden', 1),
    "NaN": json.dumps(header_of({"learning_rate": float("nan")})),
    "infinity": json.dumps(header_of()).replace(
        '\\"rnn\\"', '\\"rnn\\", \\"learning_rate\\": 1e999'
    ),
    "digits": json.dumps(header_of()).replace("[40, 44]", f"[40, {'4' * 10**6}]"),
    "deep": json.dumps(header_of()).replace("[40, 44]", "[" * 10**5 + "]" * 10**5),
    "deep architecture": json.dumps(header_of()).replace('\\"rnn\\"', "[" * 10**5),
    "metadata": {**header_of(), "__metadata__": {**header_of()["__metadata__"], "more": 1}},
    "bytes": "\udcff",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_right_checksum_is_not_trusted(bomb, path):
    """One documented error, at once and without much memory, and nothing drawn from the seed."""
    header = BOMBS[bomb]
    path.write_bytes(signed(header, bytes(44)) if bomb != "bytes" else b"\2" + bytes(7) + b"\xff{")
    generator = np.random.default_rng(0)
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(ModelFileError, match=r"model\.safetensors: "):
            load(path, seed=generator)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - began < 2 and peak < 3e7
    assert generator.random() == np.random.default_rng(0).random()


def test_a_hole_of_a_terabyte(path):
    """Only as much is read as a model of the header's architecture has."""
    for start in (b"", b"\xff" * 8, (10**8).to_bytes(8, "little"), signed(header_of(), bytes(44))):
        path.write_bytes(start)
        try:
            os.truncate(path, 2**40)
        except OSError:
            pytest.skip("no files with holes here")
        began = time.perf_counter()
        with pytest.raises(ModelFileError):
            load(path)
        assert time.perf_counter() - began < 2


def test_load_in_another_process(path):
    MODELS[0].save(path)
    code = f"import rnn_fast; print(rnn_fast.load({str(path)!r}).Whh.tolist())"
    assert run_python(code).strip() == str(MODELS[0].Whh.tolist())
