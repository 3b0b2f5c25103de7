"""The disk cache: files, folders, and keys."""

from __future__ import annotations

import compileall
import os
import shutil
import zipfile

import pytest

from rnn_fast.jit import read_cache, write_cache
from rnn_fast.jit.cache import file_of

TANH = "0.46211715726"  # tanh(0.5)
UPGRADE = """
import pathlib, sys, runpy
import rnn_fast.jit
file = pathlib.Path(rnn_fast.jit.__file__).parent.parent / "simd" / "vector_math.py"
text = file.read_text()
file.write_text(text.replace("return with_sign(e /", "return with_sign(2.0 * e /"))
sys.dont_write_bytecode = True
runpy.run_module("small", run_name="__main__")
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_FAST_CACHE_DIR", str(tmp_path / "cache"))
    code = bytes(range(256))
    return write_cache("some program", code), code


def test_a_damaged_file_is_not_run(cache):
    file, code = cache
    whole = file.read_bytes()
    assert read_cache("some program") == code
    for n in range(len(whole)):
        file.write_bytes(whole[:n])
        assert read_cache("some program") is None, f"truncated to {n}"
        file.write_bytes(whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :])
        assert read_cache("some program") is None, f"byte {n} flipped"
    file.write_bytes(whole)
    assert read_cache("some program") == code


def test_a_file_of_another_program_is_not_run(cache):
    file, _ = cache
    file.rename(file_of(file.parent, "other program"))
    assert read_cache("other program") is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX permissions")
def test_a_directory_that_others_can_write_to_is_not_trusted(cache):
    file, code = cache
    file.parent.chmod(0o777)
    assert read_cache("some program") is None
    assert write_cache("some program", code) is None
    file.parent.chmod(0o755)
    assert read_cache("some program") == code


def test_a_process_that_outlives_an_upgrade_files_nothing(run):
    """The package is changed on disk before a kernel is imported: its code is the new one's."""
    assert run(UPGRADE)[1] == "True"
    assert list(run.cache.iterdir()) == []
    assert run() == ["0.92423431452", "True"]  # the new sources, compiled anew


def test_a_process_that_outlives_an_upgrade_loads_no_new_code(run):
    run()
    source = run.site / "rnn_fast" / "simd" / "vector_math.py"
    text = source.read_text()
    source.write_text(text.replace("return with_sign(e /", "return with_sign(2.0 * e /"))
    run()
    source.write_text(text)
    assert run(UPGRADE) == [TANH, "False"]  # its own code, under its own key


def without_sources(site):
    """Replace the package's sources by compiled files in their place."""
    compileall.compile_dir(site / "rnn_fast", quiet=2, legacy=True)
    for file in (site / "rnn_fast").rglob("*.py"):
        file.unlink()


def test_an_install_without_sources_is_keyed_by_its_contents(run, tmp_path):
    shutil.copytree(run.site, tmp_path / "kept")
    without_sources(run.site)
    assert run() == [TANH, "True"]
    assert run() == [TANH, "False"]
    shutil.rmtree(run.site)
    shutil.copytree(tmp_path / "kept", run.site)
    source = run.site / "rnn_fast" / "simd" / "vector_math.py"
    text = source.read_text()
    source.write_text(text.replace("return with_sign(e /", "return with_sign(2.0 * e /"))
    without_sources(run.site)
    assert run() == ["0.92423431452", "True"]


def test_a_package_in_a_zip_file_is_keyed_by_its_contents(run, tmp_path):
    archive = tmp_path / "package.zip"
    code = f"import sys; sys.path.insert(0, {str(archive)!r}); import runpy; "
    code += "runpy.run_module('small', run_name='__main__')"
    found = []
    for factor in ("e /", "2.0 * e /"):
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted((run.site / "rnn_fast").rglob("*.py")):
                text = path.read_text(encoding="utf-8").replace("(e /", f"({factor}")
                file.writestr(path.relative_to(run.site).as_posix(), text)
        found.append(run(code))
    assert found == [[TANH, "True"], ["0.92423431452", "True"]]
    assert run(code)[1] == "False"
