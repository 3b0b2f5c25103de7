"""Packs of programs: written, read, refused when damaged or of other sources."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from rnn_fast.engine.build import build_pack
from rnn_fast.jit.levels import family
from rnn_fast.jit.packs import Pack, write_pack
from rnn_fast.jit.shipped import PROBE_GROUP
from rnn_fast.jit.sources import imported

STREAMS = [{"a": b"one", "b": b"two" * 99}, {"c": b""}, {"d": b"three"}]
LOWEST = family()[-1] if family() else ""


@pytest.fixture
def path(tmp_path):
    write_pack(tmp_path / "some.pack", {"sources": "those"}, STREAMS)
    return tmp_path / "some.pack"


def test_a_pack_gives_back_its_groups(path):
    pack = Pack(path)
    assert pack.manifest == {"sources": "those"}
    assert pack.groups == ["a", "b", "c", "d"]
    wanted = {name: data for stream in STREAMS for name, data in stream.items()}
    assert {name: pack.group(name) for name in reversed(pack.groups)} == wanted
    assert "b" in pack and "e" not in pack
    assert [file.name for file in path.parent.iterdir()] == ["some.pack"]


def test_a_file_of_another_kind_is_no_pack(path):
    path.write_bytes(b"PK\x03\x04" * 99)
    with pytest.raises(ValueError, match=r"some\.pack is no pack of programs"):
        Pack(path)


@pytest.mark.parametrize("place", [40, -40])
def test_damage_is_seen(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"some\.pack is damaged .*: install rnn_fast again"):
        Pack(path).group("d")


def test_a_pack_that_ends_early_is_damaged(path):
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="damaged"):
        Pack(path).group("d")


OTHER = """
import sys
sys.modules["llvmlite"] = None
from rnn_fast.jit import level, pack
print(repr(level()), pack())
"""


@pytest.mark.skipif(not LOWEST, reason="no level for this machine")
def test_a_pack_of_other_sources_is_left_aside(tmp_path):
    """Also where nothing can be compiled, the question to the processor neither."""
    write_pack(tmp_path / f"{LOWEST}.pack", {"sources": "those"}, STREAMS)
    environment = {key: value for key, value in os.environ.items() if key != "RNN_FAST_TARGET"}
    environment["RNN_FAST_PACKS"] = str(tmp_path)
    out = subprocess.run(
        [sys.executable, "-c", OTHER], env=environment, capture_output=True, text=True
    )
    assert out.stdout.split() == ["''", "None"], out.stderr


# ----------------------------------------------------------------------- a sample of the programs

TRAIN = """
import json, sys
import numpy as np, rnn_fast
from rnn_fast.jit import level
from rnn_fast.jit.shipped import pack
rng = np.random.default_rng(0)
X = rng.standard_normal((12, 5, 2))
model = rnn_fast.SimpleRNN(2, 3, seed=0, dtype="float64")
model.constrain("Whh", max_norm=0.1)
model.fit(X, X[:, 0, 0] > 0, epochs=2, batch_size=1, optimizer="sgd", verbose=False)
print(json.dumps([level(), model.Whh.tobytes().hex(), "numba" in sys.modules, pack() is not None]))
"""
needs_level = pytest.mark.skipif(not LOWEST, reason="no level for this machine")


def sample_of(name):
    """Whether a group is needed for a constrained training by single samples."""
    return "float64" in name and any(
        part in name
        for part in (
            "single_epoch(float64, 4, 2",
            "loss.loss(float64, 2)",
            "descent",
            "constrained",
        )
    )


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The pack of the lowest level with a few programs, built twice."""
    places = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    return [build_pack(LOWEST, place, jobs=1, chosen=sample_of) for place in places]


@needs_level
def test_a_pack_built_again_has_the_same_bytes(sample):
    first, second = map(Pack, sample)
    assert len(first.groups) == 4 + (PROBE_GROUP in first)
    assert first.groups == second.groups
    assert first.manifest == second.manifest
    assert [first.group(name) for name in first.groups] == [
        second.group(name) for name in second.groups
    ]
    assert first.manifest["sources"] == imported()


def trained(**environment):
    out = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


@needs_level
def test_programs_of_a_pack_have_the_bits_of_compiled_ones(sample, tmp_path):
    """Nothing is compiled, and Numba is not imported."""
    place = str(sample[0].parent)
    shipped = trained(RNN_FAST_PACKS=place, RNN_FAST_CACHE_DIR=str(tmp_path))
    assert shipped[0] == LOWEST
    assert shipped[2:] == [False, True]
    assert list(tmp_path.iterdir()) == []
    compiled = trained(RNN_FAST_TARGET=LOWEST, RNN_FAST_PACKS=str(tmp_path))
    assert compiled[2:] == [True, False]
    assert compiled[1] == shipped[1]
