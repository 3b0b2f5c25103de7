"""The disk cache: files, folders, and keys."""

from __future__ import annotations

import compileall
import os
import shutil
import zipfile
from importlib import import_module

import pytest

from rnn_fast.jit import cache_directories, read_cache, write_cache
from rnn_fast.jit.cache import file_of, versions
from rnn_fast.jit.trust import HAS_DESCRIPTORS

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
    assert write_cache("some program", code) == ""
    return tmp_path / "cache" / file_of("some program"), code


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
    file.rename(file.parent / file_of("other program"))
    assert read_cache("other program") is None


@pytest.mark.skipif(not HAS_DESCRIPTORS, reason="POSIX permissions")
def test_a_directory_that_others_can_write_to_is_not_trusted(cache):
    file, code = cache
    file.parent.chmod(0o777)
    assert read_cache("some program") is None
    refusal = write_cache("some program", code)
    assert f"can change {file.parent} (owner {os.geteuid()}, mode 0777)" in refusal
    file.parent.chmod(0o755)
    assert read_cache("some program") == code


@pytest.mark.parametrize("path", ["folder", "folder/../folder", "~/folder"])
def test_a_path_from_home_or_the_current_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("RNN_FAST_CACHE_DIR", path)
    (tmp_path / "folder").mkdir(mode=0o700)
    assert write_cache("some program", b"code") == ""
    assert [file.name for file in (tmp_path / "folder").iterdir()] == [file_of("some program")]


@pytest.mark.parametrize("path", ["~nobody_of_this_name/folder", "/dev/null/folder", "file"])
def test_a_path_that_cannot_be(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("RNN_FAST_CACHE_DIR", path)
    assert read_cache("some program") is None
    refusal = write_cache("some program", b"code")
    assert refusal.startswith(os.path.expanduser(path))
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_default_folders(monkeypatch):
    monkeypatch.delenv("RNN_FAST_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert "/caches/rnn_fast" in cache_directories()
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert os.path.expanduser("~/.cache") + "/rnn_fast" in cache_directories()
    monkeypatch.setenv("HOME", "")
    assert all(os.path.isabs(folder) for folder in cache_directories())


DEFAULTS = """
import os
from rnn_fast.jit.cache import file_of, write_cache
os.environ.pop("RNN_FAST_CACHE_DIR")
print("kept:", write_cache("some program", b"code"))
"""


@pytest.mark.skipif(not HAS_DESCRIPTORS, reason="POSIX permissions")
def test_the_first_folder_that_is_safe_is_used(run, tmp_path):
    beside = run.site / "rnn_fast" / "__pycache__"
    beside.mkdir()
    beside.chmod(0o777)
    (tmp_path / "home").mkdir()
    (tmp_path / "temporary").mkdir()
    places = {"XDG_CACHE_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    assert run(DEFAULTS, **places) == ["kept:"]
    assert len([*(tmp_path / "home" / "rnn_fast").iterdir()]) == 1
    (tmp_path / "home" / "rnn_fast").chmod(0o777)
    assert run(DEFAULTS, **places) == ["kept:"]
    (temporary,) = (tmp_path / "temporary").iterdir()
    assert len([*temporary.iterdir()]) == 1
    temporary.chmod(0o777)
    refusals = " ".join(run(DEFAULTS, **places))
    assert all(f"can change {folder} " in refusals for folder in (beside, temporary))
    assert list(beside.iterdir()) == []


TWICE = """
import warnings
import numpy as np
from rnn_fast.errors import CacheWarning
from rnn_fast.jit import Program

program = Program("small", "factory", x="reals")
warnings.simplefilter("error")
x = np.full(16, 0.5)
try:
    program("float64")(x.ctypes.data)
except CacheWarning as warning:
    print(warning)
program("float64")(x.ctypes.data)
program("float32")
print("end", round(x[0], 12))
"""


@pytest.mark.skipif(not HAS_DESCRIPTORS, reason="POSIX permissions")
def test_a_cache_that_is_off_says_so_once_with_the_remedy(run):
    """Even where warnings are errors, the program is compiled and works."""
    run.cache.mkdir(mode=0o700)
    run.cache.chmod(0o777)
    said = " ".join(run(TWICE))
    assert said.startswith("compiled programs are not kept")
    assert f"can change {run.cache} (owner {os.geteuid()}, mode 0777)" in said
    assert "Set RNN_FAST_CACHE_DIR to a folder" in said
    assert said.count("compiled programs") == 1
    assert said.endswith(f"end {TANH}")
    assert list(run.cache.iterdir()) == []


def test_each_processor_and_each_python_has_its_programs(run):
    code = "import sys; sys.version += {!r}; from rnn_fast.jit.cache import file_of\n"
    code += "print(file_of('some program'))"
    here = run(code.format(""))
    assert run(code.format("")) == here
    assert run(code.format(""), NUMBA_CPU_NAME="penryn") != here
    assert run(code.format(" (another build)")) != here


def test_versions_are_those_in_memory(run):
    """With Numba imported or not, and without package metadata."""
    code = "from rnn_fast.jit.cache import versions; print(versions())\n"
    code += "import sys; print('importlib.metadata' in sys.modules, 'numba' in sys.modules)"
    *found, has_metadata, has_numba = run(code)
    assert (has_metadata, has_numba) == ("False", "False")
    wanted = {m.__name__: m.__version__ for m in map(import_module, versions())}
    assert " ".join(found) == str(wanted)
    assert run("import numba\n" + code)[: len(found)] == found


def test_code_of_an_upgraded_numba_is_not_kept(cache, monkeypatch):
    import numba

    monkeypatch.setattr(numba, "__version__", "0.0.1")
    assert "Numba was upgraded" in write_cache("some program", b"code")


def refused_after_upgrade(run):
    process = run.start(UPGRADE)
    error = process.communicate()[1]
    assert process.returncode == 1
    assert "RuntimeError: the files of rnn_fast were changed" in error
    assert "restart the process" in error


def test_a_process_that_outlives_an_upgrade_compiles_nothing(run):
    """The package is changed on disk before a kernel is imported: its code is the new one's."""
    refused_after_upgrade(run)
    assert not run.cache.exists()
    assert run() == ["0.92423431452", "True"]  # the new sources, compiled anew


AGAIN = """
import numpy as np
from rnn_fast.jit import Program
import rnn_fast.simd, pathlib

program, x = Program("small", "factory", x="reals"), np.full(16, 0.5)
program("float64")(x.ctypes.data)
file = pathlib.Path(rnn_fast.simd.__file__).parent / "vector_math.py"
text = file.read_text()
file.write_text(text.replace("return with_sign(e /", "return with_sign(2.0 * e /"))
x = np.full(16, 0.5, "f4")
program("float32")(x.ctypes.data)  # its kernels are in memory, so this is the old code
file.write_text(text)
print(round(float(x[0]), 6))
file.with_name("another.py").touch()
import rnn_fast.simd.another
for _ in range(2):  # nothing but an end of the process mends it
    try:
        program("float64", 1)
    except RuntimeError as error:
        print("refused")
"""


def test_a_process_with_its_kernels_in_memory_goes_on_after_an_upgrade(run):
    assert run(AGAIN) == ["0.462117", "refused", "refused"]
    assert len(list(run.cache.iterdir())) == 2


OUTSIDE = """
import os, sys, time
import numpy as np
from rnn_fast.jit import Program
import maths

if "edit" in sys.argv:
    with open(maths.__file__) as file:
        text = file.read()
    with open(maths.__file__, "w") as file:
        file.write(text.replace("2.0", "3.0"))
x = np.full(16, 1.0)
Program("maths", "factory", x="reals")("float64", sources=("maths:factory",))(x.ctypes.data)
print(x[0], "numba" in sys.modules)
"""
MATHS = """
def factory(dtype):
    from rnn_fast.simd import load, store
    def program(x):
        store(x, load(x) * 2.0)
    return program
"""


def test_an_edited_module_of_the_user_runs_as_it_is_in_memory(run):
    """What is in memory is older than the file, whose key it must not get."""
    (run.site / "maths.py").write_text(MATHS)
    edit = "import sys; sys.argv.append('edit')\n" + OUTSIDE
    assert run(OUTSIDE) == ["2.0", "True"]
    process = run.start(edit)
    out, error = process.communicate()
    assert out.split() == ["2.0", "True"]
    assert "maths.py was edited after this process had begun" in error
    assert len(list(run.cache.iterdir())) == 1
    assert run(OUTSIDE) == ["3.0", "True"]
    assert run(OUTSIDE) == ["3.0", "False"]


def test_a_process_that_outlives_an_upgrade_loads_no_new_code(run):
    run()
    source = run.site / "rnn_fast" / "simd" / "vector_math.py"
    text = source.read_text()
    source.write_text(text.replace("return with_sign(e /", "return with_sign(2.0 * e /"))
    run()
    source.write_text(text)
    refused_after_upgrade(run)


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
