"""The model file: what comes back, and what is refused."""

from __future__ import annotations

import json
import os
import stat

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


def test_parameters_that_are_not_finite_come_back(path):
    model = SimpleRNN(1, 2, seed=0)
    model.Whh[0, 0] = np.nan
    model.save(path)
    np.testing.assert_array_equal(load(path).Whh, model.Whh)


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
            model_file.decode(bytes(damaged))


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
    with pytest.raises(OSError):
        load(path.parent)


# ----------------------------------------------------------------------------------- writing


def test_a_failed_write_leaves_the_old_file(path, content, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="disk full"):
                MODELS[0].save(path)
        assert path.read_bytes() == content
        assert os.listdir(path.parent) == [path.name]


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        MODELS[0].save(tmp_path / "none" / "model")


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")
def test_permissions_and_links(path, content):
    other = path.with_name("plain")
    other.write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)
    link = path.with_name("link")
    link.symlink_to(path.name)
    MODELS[1].save(link)
    assert link.is_symlink() and repr(load(path)) == repr(MODELS[1])


def test_load_in_another_process(path):
    MODELS[0].save(path)
    code = f"import rnn_fast; print(rnn_fast.load({str(path)!r}).Whh.tolist())"
    assert run_python(code).strip() == str(MODELS[0].Whh.tolist())
