"""``rnn-fast build``, run in this process."""

from __future__ import annotations

import pytest

from rnn_fast.cli.main import main
from rnn_fast.jit.levels import LEVELS, family
from rnn_fast.jit.packs import write_pack
from rnn_fast.jit.sources import imported


def test_a_pack_of_these_sources_stays(tmp_path, capsys):
    pack = tmp_path / "aarch64.pack"
    write_pack(pack, {"sources": imported()}, [])
    before = pack.read_bytes()
    assert main(["build", "aarch64", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{pack} is up to date\n"
    assert pack.read_bytes() == before


def test_without_a_level_all_of_this_machine_are_meant(tmp_path, capsys):
    for level in family():
        write_pack(tmp_path / f"{level}.pack", {"sources": imported()}, [])
    assert main(["build", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("is up to date") == len(family())


def test_an_unknown_level_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["build", "avx2", "--to", str(tmp_path)])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert all(level in told for level in LEVELS)
    assert list(tmp_path.iterdir()) == []
